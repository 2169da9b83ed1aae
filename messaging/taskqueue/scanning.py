"""A queue's jobs of one state -> those that a test lets through, in a page's order; a bounded number is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from messaging.taskqueue.dead import LOOK_WHOLE
from messaging.taskqueue.job import Job, State
from messaging.taskqueue.operating import Operated


class Scan:
    """Iterate over it once; after that ``looked`` says how many jobs it has looked at, and ``saw_all`` whether there
    are no others."""

    def __init__(self, queue: Operated, state: State, keep: Callable[[Job], bool], *, most: int) -> None:
        """``keep`` gets whole jobs, at most ``most`` of them."""
        self._queue = queue
        self._state = state
        self._keep = keep
        self._most = most
        self.looked = 0
        self.saw_all = False

    def __iter__(self) -> Iterator[Job]:
        while (count := min(LOOK_WHOLE, self._most - self.looked)) > 0:
            ids = self._queue.ids(self._state, self.looked, count)
            self.looked += len(ids)
            self.saw_all = len(ids) < count
            for job in self._queue.get_many(ids):
                if job is not None and job.state == self._state and self._keep(job):
                    yield job
            if self.saw_all:
                return
