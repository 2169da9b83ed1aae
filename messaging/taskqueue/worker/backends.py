"""An alias of settings.TASKS -> its backend, if it is ours."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

from messaging.errors import Misconfigured
from messaging.taskqueue.backend import RedisTaskBackend
from messaging.taskqueue.seam import task_backends


def backend_of(alias: str) -> RedisTaskBackend:
    """The backend of an alias; raises ``Misconfigured`` when there is none, or one that is not ours."""
    try:
        backend = task_backends[alias]
    except ImproperlyConfigured as error:  # its own InvalidTaskBackend among them
        raise Misconfigured(f"TASKS[{alias!r}]: {error}") from error
    if not isinstance(backend, RedisTaskBackend):
        raise Misconfigured(
            f"TASKS[{alias!r}] is a {type(backend).__name__}: "
            "`manage.py work` serves messaging.taskqueue.RedisTaskBackend"
        )
    return backend


def aliases() -> list[str]:
    """The aliases of settings.TASKS whose backend is ours."""
    return [alias for alias in task_backends if isinstance(task_backends[alias], RedisTaskBackend)]
