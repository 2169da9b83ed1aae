"""The name of a safeguard -> workers without it. For the processes of the harness only.

``python -m tests.kills --variant NAME``, and test_world.py: a run counts only if one of these makes it fail.
"""

import threading
from collections.abc import Callable, Sequence

from django.conf import settings

from messaging.taskqueue.job import Succeeded
from messaging.taskqueue.worker.crew import Member
from messaging.taskqueue.worker.feeder import Feeder
from messaging.taskqueue.worker.held import Held
from messaging.taskqueue.worker.keeper import Keeper


def acknowledged_before_work() -> None:
    """A task has succeeded as soon as somebody has it."""
    put: Callable[[Feeder, Sequence[Held]], None] = Feeder._put_to_work

    def acknowledge(self: Feeder, tasks: Sequence[Held]) -> None:
        for held in tasks:
            held.queue.settle(self._worker, [Succeeded(held.job.id, held.job.token)])
        put(self, tasks)

    Feeder._put_to_work = acknowledge  # type: ignore[method-assign]


def no_hand_back() -> None:
    """What a dead process held waits until its leases run out."""

    def nothing(self: Keeper, member: Member) -> None:
        pass

    Keeper.lost = nothing  # type: ignore[method-assign]


def no_reclaim() -> None:
    """Nor does anybody look for leases that have run out."""
    no_hand_back()

    def nothing(self: Keeper, stopping: threading.Event) -> None:
        stopping.wait()

    Keeper._sweep = nothing  # type: ignore[method-assign]


def no_crash_limit() -> None:
    """A task may kill as many workers as it likes."""
    settings.TASKS["default"]["OPTIONS"]["MAX_CRASHES"] = 1_000_000


VARIANTS = {
    each.__name__: each for each in (acknowledged_before_work, no_hand_back, no_reclaim, no_crash_limit)
}
