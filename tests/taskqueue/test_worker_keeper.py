"""Heartbeats of processes that end while one is under way: they are listed no more all the same."""

import logging
import time
from threading import Event
from typing import Any, cast

from messaging.loop import Outages
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.worker.crew import Member
from messaging.taskqueue.worker.keeper import Keeper
from messaging.taskqueue.worker.plan import Choice, Plan
from tests.waiting import eventually


class Ending:
    """A process that ends between the look whether it lives and the heartbeat that says so."""

    worker, pid, since, begun = "host:1:abc", 1, 0.0, 0
    leaving = failure = ""
    ready = True

    def __init__(self) -> None:
        self.held: dict[Any, Any] = {}
        self.looked, self.ended = Event(), Event()
        self.has_ended = False

    def innocent(self) -> list[Any]:
        return []

    @property
    def alive(self) -> bool:
        was_alive = not self.has_ended
        self.looked.set()
        self.ended.wait(10)
        return was_alive


def test_a_heartbeat_that_comes_late_does_not_list_it_again(queue: Queue) -> None:
    plan = Plan(alias="default", choice=Choice({"mails": 1}), name="host", lease_ms=30, stop_seconds=1.0)
    one = Ending()
    member = cast(Member, one)
    keeper = Keeper(plan, Outages(logging.getLogger("messaging.work")), crew=lambda: [member])
    queue.beat(one.worker, {})
    beats = next(each for each in keeper.loops if each.part == "heartbeats")
    returns = next(each for each in keeper.loops if each.part == "returns")
    beats.start()
    returns.start()
    assert one.looked.wait(10)
    one.has_ended = True
    keeper.lost(member)
    time.sleep(0.1)
    assert len(queue.workers()) == 1, "its end waits for the heartbeat"
    one.ended.set()
    eventually(lambda: queue.workers() == [])
    one.looked.clear()
    assert one.looked.wait(10)  # the heartbeats after that
    assert keeper.finish(5.0)
    for loop in (beats, returns):
        loop.join(5)
    assert queue.workers() == []
