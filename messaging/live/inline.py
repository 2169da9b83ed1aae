"""A coroutine -> what it does up to its first wait, done at once; and the rest of it, if there is one.

A task that is woken to write costs a future, two turns of the loop and a switch of context for each client. A server's
``send`` rarely has to wait: its bytes fit into the socket. So it is run where the bytes are, and only what has to wait
for a slow client is left to the client's task.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any


class Rest:
    """What a coroutine that was begun outside of a task still has to do; awaited by one."""

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, object], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, object]:
        yield self._waits_for
        return (yield from self._coroutine.__await__())


def begin(coroutine: Coroutine[Any, Any, object]) -> Rest | None:
    """Run it up to its first wait. ``None`` when it has ended without one; raises what it raises."""
    try:
        waits_for = coroutine.send(None)
    except StopIteration:
        return None
    return Rest(coroutine, waits_for)
