"""Tasks that have lost workers before -> one at a time in each process, the others in line.

A task that kills its process takes those with it that run beside it. They are claimed again together, and would be
killed together again and again, until all of them are dead letters. One at a time, only the guilty one goes on to lose
workers; who waits in line is known to the supervisor as innocent.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from messaging.taskqueue.job import Job
from messaging.taskqueue.worker import messages
from messaging.taskqueue.worker.held import Held

MANY = 2  # lost workers; one may be anybody's bad luck, such as a machine that failed with all its tasks
PATIENCE = 2.0


def is_suspect(job: Job) -> bool:
    """Whether it should not run beside another one of its kind."""
    return job.crashes >= max(1, min(job.max_crashes, MANY))


def patience(job: Job) -> float:
    """Seconds that it waits in one line; longer each time that it was handed back."""
    before = sum(each.outcome == "released" for each in job.attempts[-6:])
    return float(min(PATIENCE * 2**before, 60.0))


class Suspects:
    """The line of one process; true while somebody waits in it. For one thread."""

    def __init__(self, tell: Callable[[messages.FromProcess], None]) -> None:
        self._tell = tell
        self._line: deque[Held] = deque()
        self._running: Held | None = None

    def __bool__(self) -> bool:
        return bool(self._line)

    def aside(self, tasks: Sequence[Held]) -> list[Held]:
        """Those of ``tasks`` that may begin now; the others wait for :meth:`following`."""
        suspects = [held for held in tasks if held.job.crashes and is_suspect(held.job)]
        if not suspects:
            return list(tasks)
        waiting = suspects
        if self._running is None and not self._line:
            self._running, *waiting = suspects
        if waiting:
            self._line.extend(waiting)
            self._tell(messages.Waits([held.job.claim for held in waiting]))
        return [held for held in tasks if held not in waiting]

    def settled(self, tasks: Sequence[Held]) -> None:
        """These are acknowledged. Not sooner than the one that runs is, the next one may begin: should that one kill
        the process, it must not take the outcome of another with it."""
        if self._running in tasks:
            self._running = None

    def following(self) -> Held | None:
        """The next one in line, if it may begin."""
        if self._running is not None or not self._line:
            return None
        self._running = self._line.popleft()
        self._tell(messages.Begins(self._running.job.claim))
        return self._running

    def leaving(self, *, all_of_them: bool) -> list[Held]:
        """Who goes out of the line: all, or those who have waited for so long that another process may be better."""
        now = time.monotonic()
        left = [held for held in self._line if all_of_them or now - held.since > patience(held.job)]
        self._line = deque(held for held in self._line if held not in left)
        return left
