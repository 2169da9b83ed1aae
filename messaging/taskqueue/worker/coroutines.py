"""Async tasks -> one event loop in one thread, which is made for the first of them."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial

from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async
from django.db import connections

from messaging.taskqueue.worker.held import Held

logger = logging.getLogger("messaging.work")


class Coroutines:
    """``done`` is called in the loop's thread when a task has ended, whatever it did."""

    def __init__(self, *, done: Callable[[Held], None]) -> None:
        self._done = done
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: set[asyncio.Task[None]] = set()

    def give(self, tasks: Sequence[Held]) -> None:
        """Run these. Called by one thread only."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._work, args=(self._loop,), name="coroutines", daemon=True).start()
        self._loop.call_soon_threadsafe(self._start, tasks)

    def cancel(self, held: Held) -> None:
        """Raise CancelledError in the task."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(lambda: held.task and held.task.cancel())

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        while True:
            try:
                loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:
                # asyncio lets these out of a task that a task of ours has made; the loop goes on with the others
                logger.warning("a coroutine raised %s: ignored", type(error).__name__)

    def _start(self, tasks: Sequence[Held]) -> None:
        assert self._loop is not None  # noqa: S101
        for held in tasks:
            held.task = self._loop.create_task(self._run(held), name=held.job.id)
            self._running.add(held.task)  # the loop itself keeps weak references only
            held.task.add_done_callback(partial(self._ended, held))

    async def _run(self, held: Held) -> None:
        """Sync code that the task calls gets a thread of its own, and database connections of its own."""
        context = ThreadSensitiveContext()
        async with context:
            try:
                await held.arun()
            finally:
                if context in SyncToAsync.context_to_thread_executor:
                    await asyncio.shield(sync_to_async(connections.close_all)())

    def _ended(self, held: Held, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("after task %s (%s)", held.job.id, held.job.task, exc_info=error)
        held.interrupted()  # if it was, before it began or while it cleaned up
        self._done(held)
