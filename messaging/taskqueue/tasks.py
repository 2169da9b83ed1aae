"""A function -> a task with options of ours: ``@task(max_attempts=5)``, ``using()``, ``enqueue_many``.

It is Django's Task with more fields. On Django 6.1 and with the backport ``django.tasks.task`` takes these options too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypedDict, TypeVar, Unpack, overload

from django.utils import timezone

from messaging.errors import InvalidCall, InvalidOption, shown
from messaging.taskqueue.backoff import Backoff, check_backoff
from messaging.taskqueue.options import (
    LONGEST,
    check_count,
    check_database,
    check_errors,
    check_flag_or_function,
    check_moment,
    check_queue,
    check_rate,
    check_span,
    check_text_or_function,
)
from messaging.taskqueue.seam import (
    DEFAULT_TASK_BACKEND_ALIAS,
    DEFAULT_TASK_PRIORITY,
    DEFAULT_TASK_QUEUE_NAME,
    AnyTask,
    InvalidTask,
    Task,
    TaskContext,
    TaskResult,
)

P = ParamSpec("P")
R = TypeVar("R")

Seconds = float | timedelta
ErrorTypes = type[BaseException] | tuple[type[BaseException], ...]

if TYPE_CHECKING:

    class _Typed(Task[P, R]):
        """Django's Task has its type parameters in the stubs only."""
else:

    class _Typed(Task):
        """Django's Task, which takes type parameters and forgets them."""

        __slots__ = ()

        def __class_getitem__(cls, parameters: object) -> type:
            return cls


class TaskOptions(TypedDict, total=False):
    """What ``task(...)`` and ``using(...)`` take besides Django's own; ``None`` is as the backend's OPTIONS have it.

    Functions of the task's arguments are called with exactly those, when it is enqueued.
    """

    max_attempts: int | None  # failures until it goes to the dead letters
    backoff: Backoff | None  # seconds, Exponential(...) or (exception, task_result) -> seconds
    timeout: Seconds | None  # of one attempt
    retry_on: ErrorTypes | None  # only these are tried again; None: any
    give_up_on: ErrorTypes | None  # these never, even where retry_on has them
    unique: bool | Callable[..., object] | None  # one job at a time with these arguments, or with this key
    unique_for: Seconds | None  # the lock's time, ended or not; None: until the job has ended
    expires: Seconds | datetime | None  # not begun by then (or so long after it was enqueued): never begun
    limit: int | None  # most jobs of this task, or of one limit_key, that run at once anywhere
    limit_key: str | Callable[..., object] | None  # a text is shared by all tasks that name it
    rate: str | None  # "10/m": how many of this task, or of one rate_key, begin in what time anywhere
    rate_key: str | Callable[..., object] | None  # as limit_key
    burst: int | None  # of them may begin at once after a pause; None: one
    order_key: str | Callable[..., object] | None  # jobs of one key run one after the other, in order
    keep_results: Seconds | None
    keep_failed: Seconds | None  # of cancelled and expired ones; dead letters stay until somebody decides
    outbox: bool | str | None  # True or a database's alias: a row of its transaction; False: at once


class InvalidTaskOption(InvalidOption, InvalidTask):
    """An option of a task that cannot work, as Django's exception and ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisTask(_Typed[P, R]):
    """A task with :class:`TaskOptions`."""

    max_attempts: int | None = None
    backoff: Backoff | None = None
    timeout: Seconds | None = None
    retry_on: ErrorTypes | None = None
    give_up_on: ErrorTypes | None = None
    unique: bool | Callable[..., object] | None = None
    unique_for: Seconds | None = None
    expires: Seconds | datetime | None = None
    limit: int | None = None
    limit_key: str | Callable[..., object] | None = None
    rate: str | None = None
    rate_key: str | Callable[..., object] | None = None
    burst: int | None = None
    order_key: str | Callable[..., object] | None = None
    keep_results: Seconds | None = None
    keep_failed: Seconds | None = None
    outbox: bool | str | None = None

    def using(
        self,
        *,
        priority: int | None = None,
        queue_name: str | None = None,
        run_after: Seconds | datetime | None = None,
        backend: str | None = None,
        **options: Unpack[TaskOptions],
    ) -> RedisTask[P, R]:
        """A copy with other values. ``run_after`` may be seconds or a ``timedelta`` from now; ``options``: the fields
        above."""
        if unknown := options.keys() - CHECKS.keys():
            raise TypeError(f"using() has no option {', '.join(map(repr, sorted(unknown)))}")
        at = None if run_after is None else self._begins(run_after)
        given = {"priority": priority, "queue_name": queue_name, "run_after": at, "backend": backend}
        changes: dict[str, Any] = {
            name: value for name, value in (given | options).items() if value is not None
        }
        return replace(self, **changes)

    def _begins(self, run_after: object) -> datetime:
        if isinstance(run_after, datetime):
            return run_after
        seconds = run_after.total_seconds() if isinstance(run_after, timedelta) else run_after
        if (
            not isinstance(seconds, int | float)
            or isinstance(seconds, bool)
            or not -LONGEST <= seconds <= LONGEST
        ):
            raise InvalidTaskOption(
                f"task {self.name!r}: run_after is a datetime, or a number of seconds or a timedelta from now, "
                f"not {shown(run_after)}"
            )
        return timezone.now() + timedelta(seconds=seconds)

    def enqueue_many(self, calls: Iterable[tuple[Any, ...] | Mapping[str, Any]]) -> list[TaskResult[P, R]]:
        """One job for each of ``calls``, hundreds in a round trip: a tuple of positional arguments, or a mapping of
        keyword arguments. All are checked before the first is sent."""
        many: Callable[..., list[TaskResult[P, R]]] = self._ours().enqueue_many
        return many([(self, *_arguments(each)) for each in calls])

    async def aenqueue_many(
        self, calls: Iterable[tuple[Any, ...] | Mapping[str, Any]]
    ) -> list[TaskResult[P, R]]:
        """:meth:`enqueue_many` for coroutines."""
        many: Callable[..., Awaitable[list[TaskResult[P, R]]]] = self._ours().aenqueue_many
        return await many([(self, *_arguments(each)) for each in calls])

    def _ours(self) -> Any:
        backend = self.get_backend()
        if not hasattr(backend, "enqueue_many"):
            raise InvalidCall(
                f"backend {self.backend!r} of task {self.name!r} is not a RedisTaskBackend: enqueue one by one"
            )
        return backend


CHECKS: Mapping[str, Callable[[object, str], None]] = {
    "max_attempts": check_count,
    "backoff": check_backoff,
    "timeout": check_span,
    "retry_on": check_errors,
    "give_up_on": check_errors,
    "unique": check_flag_or_function,
    "unique_for": check_span,
    "expires": check_moment,
    "limit": check_count,
    "limit_key": check_text_or_function,
    "rate": check_rate,
    "rate_key": check_text_or_function,
    "burst": check_count,
    "order_key": check_text_or_function,
    "keep_results": check_span,
    "keep_failed": check_span,
    "outbox": check_database,
}


_values = attrgetter(*CHECKS)  # asked of each task that is enqueued
_NONE = (None,) * len(CHECKS)


def given_options(task: AnyTask) -> dict[str, Any]:
    """The options of ours that a task sets; none for a task of Django's own class."""
    if not isinstance(task, RedisTask):
        return {}
    values = _values(task)
    if values == _NONE:
        return {}
    return {name: value for name, value in zip(CHECKS, values, strict=True) if value is not None}


def check_options(task: AnyTask) -> None:
    """Raise :class:`InvalidTaskOption` for the first option that cannot work."""
    try:
        check_queue(task.queue_name, "queue_name")
        for name, value in given_options(task).items():
            CHECKS[name](value, name)
    except InvalidOption as error:
        raise InvalidTaskOption(f"task {task.name!r}: {error}") from None


def _arguments(call: object) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    if isinstance(call, tuple):
        return call, {}
    if isinstance(call, Mapping):
        return (), call
    raise InvalidCall(f"a call is a tuple of arguments or a mapping of keyword arguments, not {shown(call)}")


@overload
def task(function: Callable[P, R], /) -> RedisTask[P, R]: ...
@overload
def task(
    *,
    priority: int = ...,
    queue_name: str = ...,
    backend: str = ...,
    takes_context: Literal[True],
    **options: Unpack[TaskOptions],
) -> Callable[[Callable[Concatenate[TaskContext[Any, Any], P], R]], RedisTask[P, R]]: ...
@overload
def task(
    *,
    priority: int = ...,
    queue_name: str = ...,
    backend: str = ...,
    takes_context: Literal[False] = ...,
    **options: Unpack[TaskOptions],
) -> Callable[[Callable[P, R]], RedisTask[P, R]]: ...
def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    priority: int = DEFAULT_TASK_PRIORITY,
    queue_name: str = DEFAULT_TASK_QUEUE_NAME,
    backend: str = DEFAULT_TASK_BACKEND_ALIAS,
    takes_context: bool = False,
    **options: Unpack[TaskOptions],
) -> Any:
    """Decorator: Django's ``@task`` with the options of :class:`RedisTask`, on every version of Django."""

    def decorate(function: Callable[..., Any]) -> Any:
        return RedisTask(
            func=function,
            priority=priority,
            queue_name=queue_name,
            backend=backend,
            takes_context=takes_context,
            **options,
        )

    return decorate if function is None else decorate(function)
