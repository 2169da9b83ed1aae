"""What ``using()`` changed of a task -> JSON in the job's body, and back, so that a result's task equals the enqueued.

Only what differs from the task as its module has it: the rest is the code's, so that a new release changes it also for
jobs that wait. Functions and exception classes travel as import paths, signed for this option of this task with the
site's ``SECRET_KEY``: what anybody else writes into a body is not even imported.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.core.signing import BadSignature, Signer
from django.utils.module_loading import import_string

from messaging.errors import InvalidOption, TaskUnreadable, shown
from messaging.taskqueue.backoff import Exponential
from messaging.taskqueue.seam import AnyTask
from messaging.taskqueue.tasks import CHECKS, given_options

SALT = "messaging.taskqueue.overrides"


def overrides_of(task: AnyTask, original: object) -> dict[str, Any]:
    """A task and what its module has under its name -> the options that differ, as JSON values."""
    given = given_options(task)
    if not given or task is original:
        return {}
    return {
        name: _to_json(value, name, task)
        for name, value in given.items()
        if getattr(original, name, None) != value
    }


def options_from(overrides: dict[str, Any], original: AnyTask) -> dict[str, Any]:
    """The way back; raises ``ImportError`` for a function of another release, :class:`TaskUnreadable` for what
    ``using()`` has not written. Options that only a later release has are left out."""
    options = {}
    try:
        for name, value in overrides.items():
            if name in CHECKS:
                options[name] = _from_json(value, name, original)
                CHECKS[name](options[name], name)
            elif hasattr(original, name):  # the function itself, for example
                raise InvalidOption(f"{name} is no option")
    except (TypeError, ValueError, KeyError, OverflowError, RecursionError) as error:
        raise TaskUnreadable(f"options of the job cannot be read: {error}: {shown(overrides)}") from None
    return options


def _to_json(value: Any, name: str, task: AnyTask) -> Any:
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, timedelta):
        return {"days": value.days, "seconds": value.seconds, "microseconds": value.microseconds}
    if isinstance(value, datetime):
        return {"at": value.isoformat()}
    if isinstance(value, Exponential):
        return {"first": value.first, "factor": value.factor, "most": value.most}
    if isinstance(value, tuple):
        return [_to_json(each, name, task) for each in value]
    path = f"{getattr(value, '__module__', None)}.{getattr(value, '__qualname__', None)}"
    try:
        found: object = import_string(path)
    except ImportError:
        found = None
    if found is not value:
        raise InvalidOption(f"using({name}=...) takes what can be imported by its name, not {shown(value)}")
    return {"path": path, "signature": Signer(salt=SALT).signature(_signed(path, name, task))}


def _from_json(value: Any, name: str, task: AnyTask) -> Any:
    if isinstance(value, list):
        return tuple(_from_json(each, name, task) for each in value)
    if not isinstance(value, dict):
        return value
    if "path" in value:
        return _imported(value["path"], value.get("signature"), name, task)
    if "at" in value:
        return datetime.fromisoformat(value["at"])
    return Exponential(**value) if "first" in value else timedelta(**value)


def _imported(path: str, signature: object, name: str, task: AnyTask) -> Any:
    """What ``using()`` was given. Keys of ``SECRET_KEY_FALLBACKS`` do as well."""
    text = _signed(path, name, task)
    try:
        is_ours = Signer(salt=SALT).unsign(f"{text}:{signature}") == text
    except BadSignature:
        is_ours = False
    if not is_ours:
        raise InvalidOption(f"{name}: {shown(path)} is not signed for it with this site's SECRET_KEY")
    return import_string(path)


def _signed(path: str, name: str, task: AnyTask) -> str:
    """A signature is good for nothing else."""
    return f"{task.module_path} {name} {path}"
