"""A task and the arguments of a call -> refused here if its function does not take them, not in a worker. Pure.

Whether they do depends on how many there are and on the names only, so a call like one before costs a look-up.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import ContextDecorator
from functools import lru_cache
from typing import Any

from messaging.errors import WrongArguments
from messaging.taskqueue.seam import AnyTask

SHOWN = 120  # characters of a function's parameters

# What ``@transaction.atomic`` and its like put around a function hands on what it gets. Any other wrapper may add
# arguments of its own, so it is taken at its own word, which is often ``*args, **kwargs``.
_HANDS_ON: Any = ContextDecorator()(lambda: None).__code__


def check_call(task: AnyTask, args: Collection[Any], kwargs: Mapping[str, Any]) -> None:
    """Raise :class:`~messaging.errors.WrongArguments` for a call that Python would refuse."""
    if wrong := _misfit(task.func, task.takes_context, len(args), tuple(kwargs)):
        raise WrongArguments(f"task {task.module_path} cannot be called so: {wrong}")


@lru_cache(maxsize=4096)
def _misfit(function: Callable[..., Any], takes_context: bool, count: int, names: tuple[str, ...]) -> str:
    """What is wrong, or ""; a function that does not say what it takes is left to find out for itself."""
    try:
        signature = _signature(function)
    except (TypeError, ValueError):
        return ""
    try:
        signature.bind(*[None] * (count + takes_context), **dict.fromkeys(names))
    except TypeError as error:
        return f"{error}; it takes {_taken(signature, takes_context)}"
    return ""


def _signature(function: Any) -> inspect.Signature:
    while getattr(function, "__code__", None) is _HANDS_ON:
        function = function.__wrapped__
    if sys.version_info >= (3, 14):  # names that only type checkers import must not matter
        from annotationlib import Format

        return inspect.signature(function, follow_wrapped=False, annotation_format=Format.STRING)
    return inspect.signature(function, follow_wrapped=False)


def _taken(signature: inspect.Signature, takes_context: bool) -> str:
    """What stands between the function's parentheses, without what a caller does not give."""
    bare = [each.replace(annotation=each.empty) for each in signature.parameters.values()][takes_context:]
    text = str(signature.replace(parameters=bare, return_annotation=signature.empty))
    if not bare:
        return "no arguments"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
