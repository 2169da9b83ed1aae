"""``@subscribe("orders.*")`` on a function -> a subscriber that every process of this release knows by its name.

Subscribers live in ``subscribers.py`` of any installed app, which is imported when Django starts. Nothing is asked of
Redis or the database here: the listener's dispatch makes a task of each event, and workers run it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from inspect import iscoroutinefunction
from traceback import format_exception
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, Unpack

from django.apps import apps
from django.utils.module_loading import module_has_submodule

from messaging.errors import Misconfigured, shown
from messaging.patterns import matches_any

if TYPE_CHECKING:  # the app is there for publishing as well, where nobody has Django's Tasks
    from messaging.taskqueue.backoff import Backoff
    from messaging.taskqueue.tasks import ErrorTypes, Seconds

logger = logging.getLogger("messaging.work")

MODULE = "subscribers"
MAX_NAME = 150  # characters
_NAME = re.compile(r"[A-Za-z_][\w.-]*")

OrderedBy = Literal["", "key", "channel"]
F = TypeVar("F", bound=Callable[..., Any])


class DeliveryOptions(TypedDict, total=False):
    """What ``subscribe`` takes of a task's options; what is left out is as the backend's OPTIONS have it."""

    max_attempts: int | None  # failures until an event goes to the dead letters
    backoff: Backoff | None  # seconds, Exponential(...) or (exception, task_result) -> seconds
    timeout: Seconds | None  # of one attempt
    retry_on: ErrorTypes | None  # only these are tried again; None: any
    give_up_on: ErrorTypes | None  # these never
    limit: int | None  # most events of this subscriber that are dealt with at once, anywhere
    keep_results: Seconds | None  # how long a success is listed; an hour at the least


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A function and what it subscribes to."""

    name: str
    function: Callable[..., Any]
    patterns: tuple[str, ...]
    queue: str = "default"
    backend: str = "default"  # an alias of settings.TASKS
    priority: int = 0
    ordered_by: OrderedBy = ""
    from_start: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)  # DeliveryOptions

    @property
    def is_async(self) -> bool:
        return iscoroutinefunction(self.function)

    def wants(self, channel: str) -> bool:
        """Does any of its patterns match?"""
        return matches_any(self.patterns, channel)


registered: dict[str, Subscriber] = {}
failures: dict[str, str] = {}  # module that could not be imported -> the traceback


def subscribe(
    *patterns: str,
    name: str | None = None,
    queue: str = "default",
    backend: str = "default",
    priority: int = 0,
    ordered_by: OrderedBy = "",
    from_start: bool = False,
    **options: Unpack[DeliveryOptions],
) -> Callable[[F], F]:
    """Decorator: call the function, in a worker, once for each event on a channel that any of the patterns matches.

    The function, sync or async, takes the event, or its payload if its annotation is a type (see
    :mod:`messaging.binding`), or both. It stays as it is and can be called as ever.

    ``name`` (default: ``module.function``) is who this is, for ever: events wait under this name for whoever is
    deployed. A new name gets what is published from then on; with ``from_start``, also what the log still holds.
    ``ordered_by="key"``: events of one key one at a time, in the order of the log; ``"channel"``: those of a channel.
    Raises :class:`Misconfigured` for what cannot work.
    """
    for pattern in patterns:
        if not isinstance(pattern, str) or not pattern:
            raise Misconfigured(f"subscribe() takes channels and patterns, not {shown(pattern)}")
    if not patterns:
        raise Misconfigured('subscribe() needs at least one channel or pattern: @subscribe("orders.*")')
    if ordered_by not in ("", "key", "channel"):
        raise Misconfigured(f'ordered_by is "key" or "channel", not {shown(ordered_by)}')
    if unknown := options.keys() - DeliveryOptions.__annotations__.keys():
        raise TypeError(f"subscribe() has no option {', '.join(map(repr, sorted(unknown)))}")

    def decorate(function: F) -> F:
        subscriber = Subscriber(
            name=checked_name(name, function),
            function=function,
            patterns=tuple(dict.fromkeys(patterns)),
            queue=queue,
            backend=backend,
            priority=priority,
            ordered_by=ordered_by,
            from_start=from_start,
            options={option: value for option, value in options.items() if value is not None},
        )
        known = registered.get(subscriber.name)
        if known is not None and _path(known.function) != _path(function):
            raise Misconfigured(
                f"two subscribers are called {subscriber.name!r}: {_path(known.function)} and {_path(function)}"
            )
        registered[subscriber.name] = subscriber
        return function

    return decorate


def checked_name(name: str | None, function: Callable[..., Any]) -> str:
    """The given name, or the function's own."""
    found = _path(function) if name is None else name
    if not isinstance(found, str) or not _NAME.fullmatch(found) or len(found) > MAX_NAME:
        raise Misconfigured(
            f"the name of a subscriber has 1 to {MAX_NAME} letters, digits, dots, - and _, not {shown(found)}"
            + ("" if name is not None else ": give it one with name=")
        )
    return found


def _path(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{getattr(function, '__qualname__', type(function).__qualname__)}"


def autodiscover() -> None:
    """Import ``subscribers.py`` of every installed app. One that fails is kept in ``failures``, for the system check
    and the log: the site starts, and the events of its subscribers wait for a release that knows them."""
    for config in apps.get_app_configs():
        module = f"{config.name}.{MODULE}"
        if config.name == "messaging" or not module_has_submodule(config.module, MODULE):
            continue
        try:
            import_module(module)
            failures.pop(module, None)
        except Exception as error:
            failures[module] = "".join(format_exception(error)).strip()
            logger.exception("%s cannot be imported: its subscribers' events wait", module)
