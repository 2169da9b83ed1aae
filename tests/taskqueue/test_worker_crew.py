"""When the supervisor loses patience with a process that is to end."""

import time

from messaging.taskqueue.worker.crew import Member


def member(*, settled_ago: float) -> Member:
    """Without its process."""
    made = object.__new__(Member)
    made.ready, made.held, made.leaving, made.left_at = True, {}, "", 0.0
    made.settled_at = time.monotonic() - settled_ago
    return made


def test_one_that_was_idle_for_long_still_gets_its_time_to_end() -> None:
    idle = member(settled_ago=100)
    assert not idle.lingers(5)
    idle.leave("draining")
    assert not idle.lingers(5), "what it has just claimed may not be known yet"
    idle.leave("its code has changed")
    assert idle.leaving == "draining"
    idle.left_at -= 6
    assert idle.lingers(5)
    idle.settled_at = time.monotonic()
    assert not idle.lingers(5)
