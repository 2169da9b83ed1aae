"""A blocking function -> its result, awaited; on a few threads that keep no database connection while idle."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connections

T = TypeVar("T")

THREADS = 4  # at the most so many database connections for any number of streams


class Threads:
    """Jobs queue for the threads. A thread that finds the queue empty closes its database connections."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="messaging-live")
        self._lock = threading.Lock()
        self._waiting = 0

    async def run(self, job: Callable[[], T]) -> T:
        """Run it and return what it returns, or raise what it raises."""
        with self._lock:
            self._waiting += 1
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._run, job)

    def _run(self, job: Callable[[], T]) -> T:
        with self._lock:
            self._waiting -= 1
        try:
            return job()
        finally:
            if not self._waiting:
                connections.close_all()

    def close(self) -> None:
        """Forget what is queued and let the threads end."""
        self._executor.shutdown(wait=False, cancel_futures=True)
