"""A job as the queue has it -> Django's ``TaskResult``, equal to the one that ``enqueue`` returned. No I/O."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from messaging.taskqueue.job import Job, JobError, State
from messaging.taskqueue.lookup import original_of, rebuilt
from messaging.taskqueue.payloads import decode_body, decode_return
from messaging.taskqueue.seam import AnyResult, AnyTask, TaskError, TaskResult, TaskResultStatus

STATUS = {
    State.READY: TaskResultStatus.READY,
    State.DELAYED: TaskResultStatus.READY,  # between retries as well
    State.RUNNING: TaskResultStatus.RUNNING,
    State.SUCCEEDED: TaskResultStatus.SUCCESSFUL,
    State.DEAD: TaskResultStatus.FAILED,
    State.CANCELLED: TaskResultStatus.FAILED,
    State.EXPIRED: TaskResultStatus.FAILED,
}

# What stands in ``errors`` for an end that no code of the task raised.
_ENDED = {
    State.DEAD: "messaging.errors.WorkerLost",
    State.CANCELLED: "messaging.errors.TaskCancelled",
    State.EXPIRED: "messaging.errors.TaskExpired",
}

_ENDS = {State.SUCCEEDED, *_ENDED}

_set = object.__setattr__  # a result is frozen for everyone else
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def moment(*, ms: int = 0, us: int = 0) -> datetime | None:
    """Milliseconds or microseconds since 1970 -> a datetime as Django's settings want it; ``None`` for 0."""
    us = us or ms * 1000
    return _moment(us, in_utc=settings.USE_TZ) if us else None


def _moment(us: int, *, in_utc: bool) -> datetime | None:
    if not us:
        return None
    aware = _EPOCH + _MICROSECOND * us
    return aware if in_utc else timezone.make_naive(aware, timezone.get_default_timezone())


def microseconds(aware: datetime) -> int:
    """An aware datetime -> microseconds since 1970, exactly."""
    return (aware - _EPOCH) // _MICROSECOND


def result_of(job: Job, *, backend: str, queue: str) -> AnyResult:
    """A job of a queue -> its result.

    Raises ``ImportError`` when its task is not in this process, ``SuspiciousOperation`` when it names something else
    than a task, :class:`~messaging.errors.TaskUnreadable` when its body makes no sense.
    """
    body = decode_body(job.body)
    in_utc = settings.USE_TZ
    task = rebuilt(original_of(body.task, job.id), body, backend=backend, queue=queue, priority=job.priority)
    result = new_result(
        task,
        job.id,
        body.args,
        body.kwargs,
        backend=backend,
        enqueued_at=_moment(body.written_us or job.enqueued_ms * 1000, in_utc=in_utc),
        status=STATUS[job.state],
    )
    if job.started_ms:
        _set(result, "started_at", first := _moment(job.started_ms * 1000, in_utc=in_utc))
        again = job.last_ms != job.started_ms
        _set(result, "last_attempted_at", _moment(job.last_ms * 1000, in_utc=in_utc) if again else first)
        _set(result, "worker_ids", job.workers)
    if job.errors:
        _set(result, "errors", [_error(each) for each in job.errors])
    if job.state in _ENDS:
        _set(result, "finished_at", _moment(job.finished_ms * 1000, in_utc=in_utc))
        if job.state is State.SUCCEEDED:
            _set(result, "_return_value", decode_return(job.result))
        elif _ended_otherwise(job):
            result.errors.append(TaskError(exception_class_path=_ENDED[job.state], traceback=job.reason))
    return result


def _error(noted: JobError) -> TaskError:
    return TaskError(exception_class_path=noted["class"], traceback=noted["traceback"])


def _ended_otherwise(job: Job) -> bool:
    """Did it end by something else than the exception of its last attempt?"""
    return job.state is not State.DEAD or not job.attempts or job.attempts[-1].outcome != "failed"


def new_result(
    task: AnyTask,
    id: str,
    args: list[Any],
    kwargs: dict[str, Any],
    *,
    backend: str,
    enqueued_at: datetime | None,
    status: TaskResultStatus = TaskResultStatus.READY,
) -> AnyResult:
    """A result of a task that has not begun; ``args`` and ``kwargs`` are plain JSON values of its own."""
    if not _IS_AS_KNOWN:
        return TaskResult(
            task=task,
            id=id,
            status=status,
            enqueued_at=enqueued_at,
            started_at=None,
            finished_at=None,
            last_attempted_at=None,
            args=args,
            kwargs=kwargs,
            backend=backend,
            errors=[],
            worker_ids=[],
        )
    # Its __init__ would copy the arguments again: half the cost of an enqueue.
    result = object.__new__(TaskResult)
    _set(result, "task", task)
    _set(result, "id", id)
    _set(result, "status", status)
    _set(result, "enqueued_at", enqueued_at)
    _set(result, "started_at", None)
    _set(result, "finished_at", None)
    _set(result, "last_attempted_at", None)
    _set(result, "args", args)
    _set(result, "kwargs", kwargs)
    _set(result, "backend", backend)
    _set(result, "errors", [])
    _set(result, "worker_ids", [])
    _set(result, "_return_value", None)
    return result


def set_enqueued_at(result: AnyResult, at: datetime | None) -> None:
    """The queue has said when."""
    _set(result, "enqueued_at", at)


_IS_AS_KNOWN = {field.name for field in fields(TaskResult)} == {
    *("task", "id", "status", "enqueued_at", "started_at", "finished_at", "last_attempted_at"),
    *("args", "kwargs", "backend", "errors", "worker_ids", "_return_value"),
}
