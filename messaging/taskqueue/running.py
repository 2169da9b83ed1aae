"""A claimed job -> a call of its task -> the record that settles it. What a worker does with one job, without its I/O.

    attempt = begin(backend, queue, claimed)      raises TaskUnknown, TaskUnreadable: settle refused(claimed, error)
    outcome = run(attempt)                        in a thread;  await arun(attempt) in an event loop
    queue.settle(worker, [outcome])               None: there is nothing to settle, it is not ours any more

Both send Django's signals. Whoever interrupts an attempt says why before: ``attempt.stop = Stop.HAND_BACK``.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from inspect import iscoroutinefunction
from traceback import TracebackException
from typing import Any, NamedTuple

from django.core.exceptions import SuspiciousOperation
from django.utils import timezone

from messaging.errors import (
    GiveUp,
    InvalidCall,
    RetryAfter,
    TaskTimeout,
    TaskTooLarge,
    TaskUnknown,
    TaskUnreadable,
    UnsupportedValue,
    shown,
)
from messaging.rendering import visible
from messaging.taskqueue.backend import RedisTaskBackend
from messaging.taskqueue.backoff import asked_for, delay_of
from messaging.taskqueue.headlines import headline_of
from messaging.taskqueue.job import Claimed, Failed, JobError, Outcome, Released, Retry, Succeeded, error_of
from messaging.taskqueue.options import Defaults, Effective, effective
from messaging.taskqueue.payloads import decode_return, encode_return
from messaging.taskqueue.results import result_of
from messaging.taskqueue.seam import AnyResult, AnyTask, TaskContext, TaskError, TaskResultStatus
from messaging.taskqueue.signalling import afinished, astarted, finished, started

logger = logging.getLogger("messaging.work")
_set = object.__setattr__  # a result is frozen for everyone else

UNKNOWN_SECONDS = 30.0  # a job whose task this release does not know waits for one that does
MANY_KINDS = 1000  # that are remembered
TRACEBACK_CHARACTERS = 16 * 1024  # of a traceback, its end, which says what happened
NOT_KEPT = "its return value cannot be kept"  # the reason of a dead letter whose work is done


class Stop(Enum):
    """Why somebody interrupts an attempt."""

    HAND_BACK = "hand back"  # the worker ends: released, does not count
    TIMEOUT = "timeout"  # it took too long: fails with TaskTimeout, retried as its options say
    CANCELLED = "cancelled"  # somebody cancelled it: the queue knows
    LOST = "lost"  # the lease is another worker's


@dataclass(slots=True)
class Attempt:
    """One attempt at one job."""

    claimed: Claimed
    backend: RedisTaskBackend
    result: AnyResult  # RUNNING, with this worker's id as the last one
    options: Effective  # max_attempts, backoff, timeout (seconds, 0: none) ...
    is_async: bool  # run it in an event loop
    stop: Stop | None = None  # set this before interrupting
    has_run: bool = False  # its work is done, and what it returned cannot be kept: not to be run again
    chance: Callable[[], float] = field(default=random.random, repr=False)  # for the jitter of retries


def begin(backend: RedisTaskBackend, queue: str, claimed: Claimed) -> Attempt:
    """A claimed job -> what is to be run. No I/O.

    Raises :class:`TaskUnknown` when this process has no such task, :class:`TaskUnreadable` when its body makes no
    sense.
    """
    try:
        result = result_of(claimed, backend=backend.alias, queue=queue)
    except TaskUnreadable:
        raise
    except SuspiciousOperation as error:
        raise TaskUnreadable(str(error)) from None
    except Exception as error:  # importing a module runs its code: anything
        raise TaskUnknown(f"task {claimed.task!r} of job {claimed.id} cannot be imported: {error}") from error
    kind = _kind_of(result.task, backend.defaults)
    return Attempt(claimed, backend, result, kind.options, kind.is_async)


class _Kind(NamedTuple):
    """What all jobs of one task have in common."""

    task: AnyTask
    defaults: Defaults
    options: Effective
    is_async: bool


_kinds: dict[int, _Kind] = {}  # by the task's identity, which lives as long as its kind


def _kind_of(task: AnyTask, defaults: Defaults) -> _Kind:
    known = _kinds.get(id(task))
    if known is not None and known.defaults is defaults:
        return known
    if len(_kinds) >= MANY_KINDS:  # tasks that using() has changed are made anew for each of their jobs
        _kinds.clear()
    kind = _Kind(task, defaults, effective(task, defaults), iscoroutinefunction(task.func))
    _kinds[id(task)] = kind
    return kind


def refused(claimed: Claimed, error: TaskUnknown | TaskUnreadable) -> Outcome:
    """What becomes of a job that cannot be begun: an unknown task waits for a release that knows it."""
    if isinstance(error, TaskUnknown):
        logger.warning("%s; it is put back for %.0f s", error, UNKNOWN_SECONDS)
        return Released(claimed.id, claimed.token, int(UNKNOWN_SECONDS * 1000))
    logger.error("%s; to the dead letters", error)
    return Failed(claimed.id, claimed.token, described(error), "unreadable")


def run(attempt: Attempt) -> Outcome | None:
    """Call the task in this thread (a coroutine in a loop of its own) and say how it ended; raises nothing."""
    result, backend = attempt.result, attempt.backend
    started(backend, result)
    try:
        value = result.task.call(*_arguments(attempt), **result.kwargs)
        outcome = _succeeded(attempt, value)
    except BaseException as error:
        ending = _ended_by(attempt, error)
        _failed(attempt, ending)
        return ending.outcome
    finished(backend, result)
    return outcome


async def arun(attempt: Attempt) -> Outcome | None:
    """:func:`run` in the running loop. A cancellation of the surrounding asyncio task that ``attempt.stop`` explains
    becomes its outcome; one that nobody explained is raised on."""
    result, backend = attempt.result, attempt.backend
    await astarted(backend, result)
    try:
        value = await result.task.acall(*_arguments(attempt), **result.kwargs)
        outcome = _succeeded(attempt, value)
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError) and attempt.stop is None:
            raise
        ending = _ended_by(attempt, error)
        await _afailed(attempt, ending)
        return ending.outcome
    await afinished(backend, result)
    return outcome


def interrupted(attempt: Attempt) -> Outcome | None:
    """The outcome of an attempt that was stopped before it began, or that cannot be made to end (its thread hangs):
    as ``attempt.stop`` says."""
    try:
        raise InterruptedError(f"interrupted: {attempt.stop}")
    except InterruptedError as error:
        ending = _ended_by(attempt, error)
        _failed(attempt, ending)
        return ending.outcome


class _Ending(NamedTuple):
    outcome: Outcome | None
    is_final: bool  # its result is FAILED, which the signal has to tell
    late: TaskTimeout | None = None  # what was noted instead of the exception that told the task to stop


def _failed(attempt: Attempt, ending: _Ending) -> None:
    """The signal of a final failure, while the error that was noted is handled: Django logs that one."""
    if ending.late is not None:
        try:
            raise ending.late
        except TaskTimeout:
            _failed(attempt, ending._replace(late=None))
    elif ending.is_final:
        finished(attempt.backend, attempt.result)


async def _afailed(attempt: Attempt, ending: _Ending) -> None:
    """:func:`_failed` in an event loop."""
    if ending.late is not None:
        try:
            raise ending.late
        except TaskTimeout:
            await _afailed(attempt, ending._replace(late=None))
    elif ending.is_final:
        await afinished(attempt.backend, attempt.result)


def _arguments(attempt: Attempt) -> list[Any]:
    args = attempt.result.args
    return [TaskContext(task_result=attempt.result), *args] if attempt.result.task.takes_context else args


def _succeeded(attempt: Attempt, value: Any) -> Succeeded:
    """A value that cannot be kept is a failure of the task: ``TypeError``, as with Django's own backends."""
    result, claimed = attempt.result, attempt.claimed
    try:
        encoded = encode_return(value, claimed.task, limit=attempt.options.max_bytes)
    except Exception as error:  # anything: a mapping's own code may fail
        attempt.has_run = True
        said = f"it ran; {NOT_KEPT}: {error if isinstance(error, InvalidCall) else shown(error)}"
        if isinstance(error, TaskTooLarge):
            error.args = (said,)
            raise
        raise TypeError(said) from None if isinstance(error, UnsupportedValue) else error
    _set(result, "finished_at", timezone.now())
    _set(result, "_return_value", decode_return(encoded))
    _set(result, "status", TaskResultStatus.SUCCESSFUL)
    return Succeeded(claimed.id, claimed.token, encoded)


def _ended_by(attempt: Attempt, error: BaseException) -> _Ending:
    """An exception -> what is to be settled, noted on the result as well."""
    claimed, result = attempt.claimed, attempt.result
    if attempt.stop in (Stop.CANCELLED, Stop.LOST):
        return _Ending(None, is_final=False)
    if attempt.stop is Stop.HAND_BACK and not attempt.has_run:
        _set(result, "status", TaskResultStatus.READY)
        return _Ending(Released(claimed.id, claimed.token), is_final=False)
    late = None
    if attempt.stop is Stop.TIMEOUT and not attempt.has_run:
        late = TaskTimeout(f"took longer than {attempt.options.timeout:g} s")
        late.__cause__, late.__traceback__ = error, error.__traceback__
        error = late
    noted = described(error)
    result.errors.append(TaskError(exception_class_path=noted["class"], traceback=noted["traceback"]))
    delay = retry_delay(attempt, error)
    if isinstance(delay, str):
        _set(result, "finished_at", timezone.now())
        _set(result, "status", TaskResultStatus.FAILED)
        return _Ending(Failed(claimed.id, claimed.token, noted, delay), is_final=True, late=late)
    _set(result, "status", TaskResultStatus.READY)
    logger.warning(
        "Task id=%s path=%s failed in attempt %d of %d, again in %.1f s: %s",
        result.id,
        result.task.module_path,
        failures_of(claimed),
        attempt.options.max_attempts,
        delay,
        visible(headline_of(noted)),
    )
    return _Ending(Retry(claimed.id, claimed.token, noted, int(delay * 1000)), is_final=False)


def retry_delay(attempt: Attempt, error: BaseException) -> float | str:
    """Seconds until the next attempt, or the reason why there is none."""
    if attempt.has_run:
        return NOT_KEPT
    options, failures = attempt.options, failures_of(attempt.claimed)
    if isinstance(error, GiveUp):
        return f"gave up: {error}" if type(error) is not GiveUp else "gave up"
    if options.give_up_on and isinstance(error, options.give_up_on):
        return f"gives up on {type(error).__name__}"
    if not isinstance(error, RetryAfter) and not isinstance(error, options.retry_on):
        return f"does not retry on {type(error).__name__}"
    if failures >= options.max_attempts:
        return "failed" if options.max_attempts == 1 else f"failed {failures} times"
    if isinstance(error, RetryAfter):
        if (asked := asked_for(error.seconds)) is not None:
            return asked
        logger.error(
            "task id=%s asked to run again after %s, which is no number of seconds up to a year",
            attempt.result.id,
            shown(error.seconds),
        )
    return delay_of(options.backoff, error, attempt.result, failures=failures, chance=attempt.chance())


def failures_of(claimed: Claimed) -> int:
    """Times that it has failed, this one included: attempts whose worker died have a budget of their own."""
    return max(1, claimed.tries)


def described(error: BaseException) -> JobError:
    """An exception -> its class's path and its traceback, of which the end is kept when it is long."""
    kind = type(error)
    try:
        text = "".join(TracebackException.from_exception(error, compact=True).format())
    except Exception as broken:  # its __str__ fails, for example
        text = f"{kind.__qualname__} (its traceback cannot be written: {type(broken).__name__})\n"
    text = text.encode(errors="backslashreplace").decode()
    if len(text) > TRACEBACK_CHARACTERS:
        text = f"… {len(text) - TRACEBACK_CHARACTERS:,} characters cut\n{text[-TRACEBACK_CHARACTERS:]}"
    return error_of(f"{kind.__module__}.{kind.__qualname__}", text)
