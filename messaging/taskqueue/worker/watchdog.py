"""Time limits and words from outside -> tasks that are told to stop, and given up when they do not."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from messaging.errors import TaskTimeout
from messaging.taskqueue.job import Claim
from messaging.taskqueue.running import Stop
from messaging.taskqueue.worker.coroutines import Coroutines
from messaging.taskqueue.worker.held import Held, TaskStopped
from messaging.taskqueue.worker.threads import Threads

logger = logging.getLogger("messaging.work")


class Watchdog:
    """Called by one thread. ``done`` is told of a task that was given up."""

    def __init__(
        self,
        held: Mapping[Claim, Held],
        threads: Threads,
        coroutines: Coroutines,
        *,
        stop_seconds: float,
        done: Callable[[Held], None],
    ) -> None:
        self._patience = stop_seconds
        self._held = held
        self._threads = threads
        self._coroutines = coroutines
        self._done = done
        self._stopped_at: dict[Claim, float] = {}
        self.given_up: list[str] = []  # ids of tasks that hold a thread or a loop for ever

    def look(self) -> float:
        """Stops what is over its time; how long until it wants to look again, a second at the most."""
        now = time.monotonic()
        wanted = now + 1.0
        for held in list(self._held.values()):
            if (older := held.older) is not None:
                self.stop(older, Stop.LOST)  # its lease is the one of this newer attempt now
            if held.ended or not held.started:
                continue
            if held.stop is not None:
                self._insist(held, now)
                wanted = min(wanted, now + self._patience / 10)
            elif held.deadline is not None:
                if now >= held.deadline:
                    self.stop(held, Stop.TIMEOUT)
                wanted = min(wanted, max(now, held.deadline))
        if self._stopped_at:
            alive = set(self._held)
            self._stopped_at = {claim: at for claim, at in self._stopped_at.items() if claim in alive}
        return wanted - now

    def stop(self, held: Held, why: Stop) -> None:
        """Tells a task to stop, if it has not been told before."""
        if held.attempt is None or held.stop is not None or held.ended:
            return
        held.attempt.stop = why
        self._stopped_at[held.job.claim] = time.monotonic()
        self._tell(held)

    def _tell(self, held: Held) -> None:
        held.asked_at = time.monotonic()
        if held.attempt is not None and held.attempt.is_async:
            self._coroutines.cancel(held)
        else:
            self._threads.interrupt(held, TaskTimeout if held.stop is Stop.TIMEOUT else TaskStopped)

    def _insist(self, held: Held, now: float) -> None:
        first = self._stopped_at.get(held.job.claim, now)
        if now - first < self._patience:
            if now - held.asked_at >= self._patience / 4:  # it may have caught the first word
                self._tell(held)
            return
        logger.error(
            "task %s (%s) was told to stop (%s) and has not within %g s: its process will be replaced",
            held.job.id, held.job.task, held.stop.value if held.stop else "", self._patience,
        )  # fmt: skip
        self.given_up.append(held.job.id)
        held.given_up = True
        held.interrupted()
        self._done(held)
