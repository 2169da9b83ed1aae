"""Nothing -> nothing: the tasks whose cost is that of the worker alone."""

from __future__ import annotations

from messaging.taskqueue import task


@task
def nothing() -> None:
    """Sync: a thread runs it."""


@task
async def anothing() -> None:
    """Async: the event loop runs it."""
