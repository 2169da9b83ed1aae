"""Nothing -> nothing: the tasks of our side, which do what those of the peers do."""

from __future__ import annotations

from benchmarks.tasks.stamps import stamping
from messaging.taskqueue import task

_stamp = stamping()


@task
def nothing() -> None:
    """A thread runs it."""
    _stamp()


@task
async def anothing() -> None:
    """The event loop runs it."""
    _stamp()
