"""Failures of Redis -> a pause in which publishing fails at once instead of waiting for the budget again."""

from __future__ import annotations

import logging
import random
import threading
import time

from messaging.conf import conf
from messaging.connection import where
from messaging.errors import BrokerUnavailable

logger = logging.getLogger("messaging.publish")


class Breaker:
    """Closed: everyone may try. Open: nobody, until the pause is over; then one caller tries for all.

    The pause starts at ``BREAKER_SECONDS``, doubles with each failed trial up to ``BREAKER_MAX_SECONDS`` and carries
    a jitter, so that many processes do not try in step.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until = 0.0  # 0 = closed
        self._trying = False  # one caller tries for all
        self._reason = ""

    @property
    def is_open(self) -> bool:
        """Is Redis being left alone at this moment?"""
        return self._open_until > time.monotonic()

    def check(self) -> None:
        """Return if the caller may try, raise :class:`BrokerUnavailable` if not."""
        if not self._open_until:
            return
        now = time.monotonic()
        with self._lock:
            if not self._open_until:
                return
            wait = self._open_until - now
            if wait <= 0:  # this caller tries for all; the others wait for its result, at most for one budget
                self._open_until = now + conf.PUBLISH_BUDGET
                self._trying = True
                return
        raise BrokerUnavailable(
            f"Redis at {where()} did not answer and is left alone for {wait:.1f} s: {self._reason}"
        )

    def failed(self, error: Exception) -> None:
        """Redis did not answer this caller. Many may have been under way when it fell silent: they count as one."""
        with self._lock:
            if self._open_until > time.monotonic() and not self._trying:
                return
            self._trying = False
            first = not self._failures
            self._failures += 1
            pause = min(conf.BREAKER_SECONDS * 2 ** min(self._failures - 1, 10), conf.BREAKER_MAX_SECONDS)
            self._open_until = time.monotonic() + pause * random.uniform(0.75, 1.25)  # noqa: S311 (jitter)
            self._reason = str(error)
        if first:
            logger.warning("Redis at %s is unavailable, publishing fails fast: %s", where(), error)

    def succeeded(self) -> None:
        """Redis answered."""
        if not self._failures:
            return
        with self._lock:
            failures, self._failures, self._open_until, self._trying = self._failures, 0, 0.0, False
        if failures:
            logger.warning("Redis at %s answers again", where())
