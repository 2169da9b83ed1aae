"""Programs crash between two lines. A queue is as good as what it does then."""

import pytest
from redis import Redis

from messaging import connection, log, publish
from messaging.log import Entry


class PowerCut(Exception):
    """The end of a worker, in the middle of its work."""


def do(task: object) -> None:
    raise PowerCut


def test_a_crash_after_rpop_loses_the_task(redis: Redis) -> None:
    """RPOP hands the task over and forgets it. From then on it lives only in the memory of the worker: when the
    worker dies, the task is gone, and nothing tells."""
    redis.lpush("inbox", "task1")
    with pytest.raises(PowerCut):
        do(redis.rpop("inbox"))
    assert redis.rpop("inbox") is None


def test_blmove_keeps_the_task_until_it_is_done(redis: Redis) -> None:
    """BLMOVE takes the task from one list and puts it into another in one step: at every moment it stands in exactly
    one of them. The worker removes it when it is done; after a crash it is found in the list of work in hand."""
    redis.lpush("inbox", "task1")
    with pytest.raises(PowerCut):
        do(redis.blmove("inbox", "in-hand", timeout=1, src="RIGHT", dest="LEFT"))
    assert redis.lrange("in-hand", 0, -1) == ["task1"]

    redis.lmove("in-hand", "inbox", "RIGHT", "RIGHT")  # somebody looks after the dead worker's work
    task = redis.blmove("inbox", "in-hand", timeout=1, src="RIGHT", dest="LEFT")
    redis.lrem("in-hand", 1, task)  # done
    assert task == "task1"
    assert not redis.exists("inbox", "in-hand")


@pytest.mark.usefixtures("redis")
def test_the_log_is_read_again_from_where_the_work_was_done() -> None:
    """Reading the log takes nothing away: a reader remembers how far it has *done* its work. After a crash it reads
    the same entries again. Our relay stores its position in the same transaction as the rows, so that read twice is
    never stored twice."""
    for number in range(3):
        publish("orders.created", {"number": number})
    position, done = log.START, []

    def work_until_crash(crash_at: int) -> None:
        nonlocal position
        for entry in _entries_behind(position):
            number = entry.event().data["number"]
            if number == crash_at:
                raise PowerCut
            done.append(number)
            position = entry.position

    with pytest.raises(PowerCut):
        work_until_crash(1)
    work_until_crash(-1)
    assert done == [0, 1, 2]


def _entries_behind(position: log.Position) -> list[Entry]:
    return log.read(connection.client(), 0, position, count=10)
