"""What is written in a transaction -> sent after its commit, in one go, or noted as waiting: for both outboxes.

What waits is remembered by names of its own (an event's id and source, a job's id), never by the keys of rows. SQLite
gives the keys that a savepoint took back once more, maybe to another process: its row would be sent from here, out of
its order, and an ordered one past those before it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connections, transaction

logger = logging.getLogger("messaging.publish")


def in_transaction(using: str) -> bool:
    """Is a transaction of that database open in this thread?"""
    connection = connections[using]
    return connection.in_atomic_block or (connection.connection is not None and not connection.autocommit)


def send_after_commit(
    outbox: str,
    send: Callable[[Sequence[Any]], None],
    names: Sequence[Any],
    *,
    using: str,
    then: Callable[[], None] | None = None,
) -> None:
    """``send(names)`` after the commit, with those of the transaction's other calls for the same ``outbox``; at once
    when there is no transaction. Then ``then()``, for each call.

    Where transactions are managed by hand (``set_autocommit(False)``) nobody tells of the commit: nothing is sent.
    """
    connection = connections[using]
    if connection.in_atomic_block:
        call = _AfterCommit(outbox, send, names, using, then)
        transaction.on_commit(call, using=using, robust=True)
        return
    if connection.get_autocommit():
        send(names)
    if then is not None:
        then()


class _AfterCommit:
    """What one call leaves to be done. Those of one transaction share ``waiting``: whichever is called first sends for
    all of them, and what a savepoint took back is not found when it is read."""

    def __init__(
        self,
        outbox: str,
        send: Callable[[Sequence[Any]], None],
        names: Sequence[Any],
        using: str,
        then: Callable[[], None] | None,
    ) -> None:
        self.__qualname__ = outbox  # Django 5.2 names a robust callback that fails by it
        earlier = (
            each
            for _, each, *_ in reversed(connections[using].run_on_commit)
            if isinstance(each, _AfterCommit) and each.__qualname__ == outbox
        )
        before = next(earlier, None)
        self.waiting: list[Any] = [] if before is None else before.waiting
        self.waiting += names
        self._send = send
        self._names = names
        self._using = using
        self._then = then

    def __call__(self) -> None:
        if connections[self._using].in_atomic_block:  # a TestCase plays the commit, for what it captured
            self._send(self._names)
        else:
            names, self.waiting[:] = list(self.waiting), []
            self._send(names)
        if self._then is not None:
            self._then()


class Patience:
    """Says that things of a kind wait for Redis once, not for each request; and when they are sent again."""

    def __init__(self, thing: str) -> None:
        self.waits = False  # could this process not send what it wrote last?
        self._thing = thing

    def failed(self, count: int, error: Exception) -> None:
        """So many could not be sent."""
        log_it = logger.debug if self.waits else logger.warning
        things = f"{count:,} {self._thing}" + "s" * (count != 1)
        log_it("%s, and those that follow, wait in the outbox: %s", things, error)
        self.waits = True

    def succeeded(self) -> None:
        """Some were sent."""
        if self.waits:
            self.waits = False
            logger.warning("%ss of the outbox are sent again", self._thing)
