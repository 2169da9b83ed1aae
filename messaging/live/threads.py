"""A blocking function -> its result, awaited; on a few threads that keep no database connection while idle."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import connections

T = TypeVar("T")

THREADS = 3  # at the most so many database connections for any number of streams
REST_SECONDS = 1.0


class Resting(Exception):
    """What the job would ask has just failed to answer somebody else."""


class Threads:
    """Jobs queue for the threads. A thread takes one after the other, and closes its database connections when there
    is none left.

    With ``rest``, a job that fails makes those behind it fail at once for a second: a thousand streams that ask a
    Redis which hangs wait for one time-out, not for a thousand.
    """

    def __init__(self, name: str, *, rest: bool = False) -> None:
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix=f"messaging-live-{name}")
        self._jobs: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._rest = rest
        self._rest_until = 0.0

    async def run(self, job: Callable[[], T]) -> T:
        """Run it and return what it returns, or raise what it raises; :class:`Resting`."""
        result: Future[T] = Future()
        self._jobs.append((job, result))
        self._executor.submit(self._work)
        return await asyncio.wrap_future(result)

    def _work(self) -> None:
        took = False
        while True:
            try:
                job, result = self._jobs.popleft()
            except IndexError:
                break
            took = True
            if result.set_running_or_notify_cancel():
                self._settle(job, result)
        if took:
            connections.close_all()

    def _settle(self, job: Callable[[], Any], result: Future[Any]) -> None:
        if time.monotonic() < self._rest_until:
            result.set_exception(Resting())
            return
        try:
            value = job()
        except BaseException as error:
            if self._rest:
                self._rest_until = time.monotonic() + REST_SECONDS
            result.set_exception(error)
        else:
            result.set_result(value)

    def close(self) -> None:
        """Forget what is queued and let the threads end."""
        while self._jobs:
            self._jobs.pop()[1].cancel()
        self._executor.shutdown(wait=False, cancel_futures=True)
