"""A dead letter and other arguments for it -> a new job of the same task in the same queue. The dead letter stays.

Its options are made anew, as for a call of today's code: keys and unique locks may follow from the arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import SuspiciousOperation

from messaging.errors import InvalidCall, TaskUnknown, TaskUnreadable
from messaging.taskqueue import signalling
from messaging.taskqueue.backend import RedisTaskBackend
from messaging.taskqueue.enqueueing import Prepared, prepare
from messaging.taskqueue.job import Job
from messaging.taskqueue.lookup import original_of, rebuilt
from messaging.taskqueue.payloads import decode_body
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.results import moment, new_result
from messaging.taskqueue.seam import AnyTask


def requeue(backend: RedisTaskBackend, queue: Queue, job: Job, args: Any, kwargs: Any) -> tuple[str, bool]:
    """The id of the new job, and whether it is new: not if another one holds its unique lock.

    Raises an :class:`~messaging.errors.InvalidCall` for what the task cannot be called with,
    :class:`~messaging.errors.TaskUnknown` or :class:`~messaging.errors.TaskUnreadable` when it is not a task of this
    process, a :class:`~messaging.errors.BrokerError`.
    """
    prepared = edited(backend, queue.name, job, args, kwargs)
    (answer,) = queue.enqueue([prepared.job])
    if answer.is_new:
        result = new_result(
            prepared.task, answer.id, prepared.args, prepared.kwargs,
            backend=backend.alias, enqueued_at=moment(ms=answer.at_ms),
        )  # fmt: skip
        signalling.enqueued(backend, [result])
    return answer.id, answer.is_new


def edited(backend: RedisTaskBackend, queue: str, job: Job, args: Any, kwargs: Any) -> Prepared:
    """The new job, checked; nothing is sent."""
    task = _task_of(backend, queue, job)
    if not isinstance(args, list):
        raise InvalidCall("args is a list of positional arguments")
    if not isinstance(kwargs, Mapping):
        raise InvalidCall("kwargs is an object of keyword arguments")
    backend.validate_task(task)
    return prepare(task, args, kwargs, defaults=backend.defaults, now=datetime.now(UTC))


def _task_of(backend: RedisTaskBackend, queue: str, job: Job) -> AnyTask:
    body = decode_body(job.body)
    body.run_after = ""  # now
    try:
        original = original_of(job.task, job.id)
        return rebuilt(original, body, backend=backend.alias, queue=queue, priority=job.priority)
    except TaskUnreadable:
        raise
    except SuspiciousOperation as error:
        raise TaskUnreadable(str(error)) from None
    except Exception as error:  # importing a module runs its code: anything
        raise TaskUnknown(f"task {job.task!r} cannot be imported here: {error}") from error
