"""A step -> a thread that repeats it until told to stop, through every outage, logging changes of state only."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable

from django.db import InterfaceError, OperationalError, connections
from redis.exceptions import RedisError, ResponseError

from messaging.errors import BrokerError, BrokerUnavailable

logger = logging.getLogger("messaging.listen")

FIRST_PAUSE = 0.1  # seconds after a first failure; doubles
LONGEST_PAUSE = 5.0


class Loop(threading.Thread):
    """Calls ``step`` again and again. An error is logged when it begins and when it is over, with pauses in between
    that double from 0.1 s to 5 s and carry a jitter. ``recover`` runs after each failure, before the next step."""

    def __init__(
        self,
        name: str,
        step: Callable[[threading.Event], None],
        *,
        recover: Callable[[], None] | None = None,
        fatal: tuple[type[Exception], ...] = (),
    ) -> None:
        super().__init__(name=f"messaging-{name}", daemon=True)
        self.stopping = threading.Event()
        self.failure: str | None = None  # what is wrong at the moment
        self.ended_by: Exception | None = None
        self._step = step
        self._recover = recover
        self._fatal = fatal
        self._label = name

    def stop(self) -> None:
        """Ask it to end after the step it is in."""
        self.stopping.set()

    def run(self) -> None:
        pause = FIRST_PAUSE
        try:
            while not self.stopping.is_set():
                try:
                    if self.failure is not None and self._recover is not None:
                        self._recover()
                    self._step(self.stopping)
                except self._fatal as error:
                    self.ended_by = error
                    return
                except Exception as error:
                    self._failed(error)
                    self.stopping.wait(pause * random.uniform(0.5, 1.5))  # noqa: S311 (jitter)
                    pause = min(pause * 2, LONGEST_PAUSE)
                else:
                    pause = FIRST_PAUSE
                    self._succeeded()
        finally:
            connections.close_all()

    def _failed(self, error: Exception) -> None:
        reason = what_failed(error)
        if isinstance(error, (OperationalError, InterfaceError)):
            connections.close_all()  # this thread's; a broken one never heals by itself
        if reason != self.failure:
            expected = not reason.startswith("unexpected")
            logger.log(
                logging.WARNING if expected else logging.ERROR,
                "%s waits, %s: %s", self._label, reason, error, exc_info=None if expected else error,
            )  # fmt: skip
            self.failure = reason

    def _succeeded(self) -> None:
        if self.failure is not None:
            logger.warning("%s goes on, it is over: %s", self._label, self.failure)
            self.failure = None


def what_failed(error: Exception) -> str:
    """An exception -> the state of the world that it stands for."""
    if isinstance(error, (OperationalError, InterfaceError)):
        return "the database is away"
    if isinstance(error, BrokerUnavailable) or (
        isinstance(error, RedisError) and not isinstance(error, ResponseError)
    ):
        return "Redis is away"
    if isinstance(error, (BrokerError, ResponseError)):
        return f"Redis refuses ({str(error).split(' ', 1)[0]})"
    if isinstance(error, OSError):
        return f"the system refuses ({type(error).__name__})"
    return f"unexpected {type(error).__name__}"
