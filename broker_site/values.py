"""A variable of the environment -> its value, or a sentence with its name and what it holds."""

import math

import environ
from django.core.exceptions import ImproperlyConfigured

_FALSE = ("false", "off", "no", "n", "0", "")


def boolean(env: environ.Env, name: str) -> bool:
    """False without it. Whatever is neither true nor false is refused: off would be a guess."""
    text = env.str(name, default="")
    if text.lower() in env.BOOLEAN_TRUE_STRINGS:
        return True
    if text.lower() in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name} must be true or false, not {text!r}")


def seconds(env: environ.Env, name: str, default: float) -> float:
    """A number above 0."""
    text = env.str(name, default="") or str(default)
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise ImproperlyConfigured(f"{name} must be a number of seconds above 0, not {text!r}")
    return found
