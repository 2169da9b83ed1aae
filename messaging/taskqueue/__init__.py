"""Work that must be done: jobs go into queues in Redis, workers take them out under a lease, and each one ends."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from messaging.taskqueue.backend import RedisTaskBackend, aenqueue_many, enqueue_many
    from messaging.taskqueue.backoff import Exponential
    from messaging.taskqueue.cancelling import acancel, cancel
    from messaging.taskqueue.tasks import RedisTask, task

__all__ = [
    "Exponential",
    "RedisTask",
    "RedisTaskBackend",
    "acancel",
    "aenqueue_many",
    "cancel",
    "enqueue_many",
    "task",
]

_LAZY = {
    "Exponential": "messaging.taskqueue.backoff",
    "RedisTask": "messaging.taskqueue.tasks",
    "RedisTaskBackend": "messaging.taskqueue.backend",
    "acancel": "messaging.taskqueue.cancelling",
    "aenqueue_many": "messaging.taskqueue.backend",
    "cancel": "messaging.taskqueue.cancelling",
    "enqueue_many": "messaging.taskqueue.backend",
    "task": "messaging.taskqueue.tasks",
}


def __getattr__(name: str) -> Any:
    """Imported at first use: the backend needs Django's Tasks, which a site without tasks need not have on 5.2."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
