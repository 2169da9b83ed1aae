"""A result -> its task, ended where it waits or told to stop where it runs: ``cancel(result, by="ann")``."""

from __future__ import annotations

from typing import Any

from messaging.errors import InvalidCall
from messaging.taskqueue import queues
from messaging.taskqueue.backend import RedisTaskBackend
from messaging.taskqueue.seam import AnyResult, task_backends


def cancel(result: AnyResult, *, by: str) -> bool:
    """End a task that waits; have its worker stop one that runs. ``by`` says who wanted it, in the admin and in the
    result's ``errors``. Did it change anything?

    ``False``: it has ended, is being stopped already, is not known any more, or is in no queue yet because it waits for
    its commit. It may be a moment until a worker hears of it; then ``errors`` has ``messaging.errors.TaskCancelled``.
    Raises a :class:`~messaging.errors.BrokerError` when Redis does not answer.
    """
    alias, name = _place(result)
    return queues.queue(alias, name).cancel(result.id, by)


async def acancel(result: AnyResult, *, by: str) -> bool:
    """:func:`cancel` for coroutines."""
    alias, name = _place(result)
    with queues.breaking():
        return await (await queues.async_queue(alias, name)).cancel(result.id, by)


def _place(result: AnyResult) -> tuple[str, str]:
    backend: Any = task_backends[result.backend]
    if not isinstance(backend, RedisTaskBackend):
        raise InvalidCall(f"backend {result.backend!r} of task {result.id} is not a RedisTaskBackend")
    return result.backend, result.task.queue_name
