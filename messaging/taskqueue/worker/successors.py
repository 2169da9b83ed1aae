"""A job that is claimed again where it still runs -> its next attempt, begun when the older one has ended.

A lease can run out while its process lives: the process was frozen, its machine suspended, Redis out of reach. What
the older attempt says of the job is refused from then on, and it is this process that has been given the job again. To
begin it at once would run it twice side by side; to hand it back would do the same, in another process. So it waits
here under its new lease, and the older one is told to stop (``watchdog.py``). Should that one not stop, its process is
replaced, and the job goes to another one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from messaging.taskqueue.job import Claim
from messaging.taskqueue.worker import messages
from messaging.taskqueue.worker.held import Held


class Successors:
    """Those of one process that wait; true while there are any. ``held`` is all that the process holds. For one
    thread."""

    def __init__(self, held: Mapping[Claim, Held], tell: Callable[[messages.FromProcess], None]) -> None:
        self._held = held
        self._tell = tell
        self._waiting: list[Held] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def aside(self, tasks: Sequence[Held]) -> list[Held]:
        """Those of ``tasks`` that may begin now; the others wait for :meth:`following`."""
        for held in tasks:
            if held.job.token > 1:  # a job's first claim has nothing before it
                held.older = self._before(held)
        waiting = [held for held in tasks if held.older is not None]
        if waiting:
            self._waiting += waiting
            self._tell(messages.Waits([held.job.claim for held in waiting]))
        return [held for held in tasks if held.older is None]

    def following(self) -> list[Held]:
        """Those whose older attempt has ended and is settled. One that was given up still runs."""
        begin = [
            held
            for held in self._waiting
            if (older := held.older) is not None
            and not older.given_up
            and self._held.get(older.job.claim) is not older
        ]
        for held in begin:
            self._waiting.remove(held)
            held.older = None
            self._tell(messages.Begins(held.job.claim))
        return begin

    def leaving(self) -> list[Held]:
        """All, for another process."""
        left, self._waiting = self._waiting, []
        return left

    def _before(self, held: Held) -> Held | None:
        """The latest attempt at the same job before this one."""
        others = [each for each in self._held.values() if each.job.id == held.job.id and each is not held]
        return max(others, key=lambda each: each.job.token, default=None)
