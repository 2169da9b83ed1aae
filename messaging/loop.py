"""A step -> a thread that repeats it until told to stop, through every outage, logging changes of state only."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from django.db import InterfaceError, InternalError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from messaging import connection
from messaging.errors import BrokerError, BrokerFull, BrokerRefused

logger = logging.getLogger("messaging.listen")

_UNEXPECTED = "unexpected"
_DATABASE = (OperationalError, InterfaceError)  # it may be away

FIRST_PAUSE = 0.1  # seconds after a first failure; doubles
LONGEST_PAUSE = 2.0


class Outages:
    """Failures of many parts -> one log line when something is wrong with the world, one when it is over.

    A Redis that is away stops capture, relay and outbox alike: that is one change of state, not three.
    """

    def __init__(self, log: logging.Logger = logger) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._suffering: defaultdict[str, set[str]] = defaultdict(
            set
        )  # reason -> parts that wait for its end
        self._since: dict[str, float] = {}
        self._closed = False

    def began(self, part: str, reason: str, error: Exception) -> None:
        """This part cannot go on for this reason."""
        with self._lock:
            first = not self._suffering[reason]
            self._suffering[reason].add(part)
            if first:
                self._since[reason] = time.monotonic()
        if first:
            unexpected = reason.startswith(_UNEXPECTED)
            level = logging.ERROR if unexpected else logging.WARNING
            self._log.log(
                level, "%s: %s waits (%s)", reason, part, error, exc_info=error if unexpected else None
            )

    def ended(self, part: str, reason: str) -> None:
        """This part goes on."""
        with self._lock:
            parts = self._suffering[reason]
            parts.discard(part)
            last = not parts and reason in self._since
            seconds = time.monotonic() - self._since.pop(reason) if last else 0.0
        if last and not self._closed:
            self._log.warning("over after %.1f s: %s", seconds, reason)

    def close(self) -> None:
        """Everybody ends: from now on nothing is said to be over, since nobody sees it out."""
        self._closed = True


class Loop(threading.Thread):
    """Calls ``step`` again and again, with pauses after errors that double from 0.1 s to 2 s and carry a jitter.
    ``recover`` runs after each failure, before the next step; an error of the kinds ``fatal`` ends the thread.

    A connection that the database has cut is no outage yet: it may have lain idle through one that is over. The step
    is tried again with a new one, at once.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[threading.Event], None],
        *,
        outages: Outages,
        recover: Callable[[], None] | None = None,
        fatal: tuple[type[Exception], ...] = (),
    ) -> None:
        super().__init__(name=f"messaging-{name}", daemon=True)
        self.stopping = threading.Event()
        self.failure: str | None = None  # what is wrong at the moment
        self.ended_by: Exception | None = None
        self.busy_since: float | None = None  # when the step began that it is in, by the monotonic clock
        self._step = step
        self._recover = recover
        self._fatal = fatal
        self._outages = outages
        self.part = name

    def stop(self) -> None:
        """Ask it to end after the step it is in."""
        self.stopping.set()

    def run(self) -> None:
        pause = FIRST_PAUSE
        failed = False
        try:
            while not self.stopping.is_set():
                self.busy_since = time.monotonic()
                connected = _connected()
                try:
                    if failed and self._recover is not None:
                        self._recover()
                    self._step(self.stopping)
                except self._fatal as error:
                    self.ended_by = error
                    return
                except Exception as error:
                    first, failed = not failed, True
                    if first and isinstance(error, _DATABASE) and _cut(connected):
                        connections.close_all()
                        continue
                    self.busy_since = None
                    self._failed(error)
                    self.stopping.wait(pause * random.uniform(0.5, 1.5))  # noqa: S311 (jitter)
                    pause = min(pause * 2, LONGEST_PAUSE)
                else:
                    pause = FIRST_PAUSE
                    failed = False
                    self._succeeded()
        finally:
            self.busy_since = None
            self._succeeded()
            connections.close_all()

    def _failed(self, error: Exception) -> None:
        reason = what_failed(error)
        connection.heed(error)
        if isinstance(error, _DATABASE):
            connections.close_all()  # this thread's; a broken one never heals by itself
        if reason != self.failure:
            self._succeeded()
            self._outages.began(self.part, reason, error)
            self.failure = reason

    def _succeeded(self) -> None:
        if self.failure is not None:
            self._outages.ended(self.part, self.failure)
            self.failure = None


_Connected = list[tuple[BaseDatabaseWrapper, Any]]


def _connected() -> _Connected:
    """The databases to which this thread has a connection, and it."""
    return [(each, each.connection) for each in connections.all(initialized_only=True) if each.connection]


def _cut(connected: _Connected) -> bool:
    """Has one of these connections been lost? Then Django may have made another one already."""
    return any(each.connection is not had or not each.is_usable() for each, had in connected)


def what_failed(error: Exception) -> str:
    """An exception -> the state of the world that it stands for."""
    if isinstance(error, _DATABASE):
        return "the database is away"
    if isinstance(error, InternalError):
        return "the database cannot do it"  # read-only, over its quota, damaged
    refusals = (BrokerFull, BrokerRefused, ResponseError, AuthenticationError)
    if isinstance(error, refusals) or isinstance(error.__cause__, ResponseError):  # such as NOREPLICAS
        return f"Redis refuses ({_code(error)})"
    if isinstance(error, (BrokerError, RedisError)):
        return "Redis is away"
    if isinstance(error, OSError):
        return f"the system refuses ({type(error).__name__})"
    return f"{_UNEXPECTED} {type(error).__name__}"


def _code(error: Exception) -> str:
    """The first word of an error reply, which says what kind of trouble it is."""
    said = error.__cause__ if isinstance(error.__cause__, RedisError) else error
    code = (
        said.status_code if isinstance(said, RedisError) else None
    )  # redis-py takes those that it knows off the text
    return code or str(said).split(" ", 1)[0].rstrip(":")
