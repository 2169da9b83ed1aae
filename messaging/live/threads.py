"""A blocking function -> its result, awaited; on a few threads that keep no database connection while idle."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connections

T = TypeVar("T")

THREADS = 3  # at the most so many database connections for any number of streams
REST_SECONDS = 1.0


class Resting(Exception):
    """What the job would ask has just failed to answer somebody else."""


class Threads:
    """Jobs queue for the threads. A thread that finds the queue empty closes its database connections.

    With ``rest``, a job that fails makes those behind it fail at once for a second: a thousand streams that ask a
    Redis which hangs wait for one time-out, not for a thousand.
    """

    def __init__(self, name: str, *, rest: bool = False) -> None:
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix=f"messaging-live-{name}")
        self._lock = threading.Lock()
        self._waiting = 0
        self._rest = rest
        self._rest_until = 0.0

    async def run(self, job: Callable[[], T]) -> T:
        """Run it and return what it returns, or raise what it raises; :class:`Resting`."""
        with self._lock:
            self._waiting += 1
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._run, job)

    def _run(self, job: Callable[[], T]) -> T:
        with self._lock:
            self._waiting -= 1
        if time.monotonic() < self._rest_until:
            raise Resting
        try:
            return job()
        except Exception:
            if self._rest:
                self._rest_until = time.monotonic() + REST_SECONDS
            raise
        finally:
            if not self._waiting:
                connections.close_all()

    def close(self) -> None:
        """Forget what is queued and let the threads end."""
        self._executor.shutdown(wait=False, cancel_futures=True)
