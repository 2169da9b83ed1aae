"""What processes hold -> leases that last, jobs of the dead handed back, sweeps, heartbeats: the supervisor's threads.

A process that has ended is not listed any more. Where Redis cannot be told so it is forgotten after an hour.

No task runs in this process, so nothing that a task does keeps a lease from being renewed.
"""

from __future__ import annotations

import logging
import os
import platform
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import NamedTuple

import django

from messaging import connection
from messaging.errors import BrokerError
from messaging.loop import Loop, Outages
from messaging.taskqueue import draining
from messaging.taskqueue.draining import QUIET, Asked
from messaging.taskqueue.job import Claim, Released
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.worker.crew import Member
from messaging.taskqueue.worker.messages import Halt, Holding, Renewed
from messaging.taskqueue.worker.plan import Plan, new_mark, worker_id
from messaging.taskqueue.worker.sources import known_queues

logger = logging.getLogger("messaging.work")

SHOWN_TASKS = 50  # of a worker, in its heartbeat


class Lost(NamedTuple):
    """A process that is no more. Its end does not count against the ``innocent`` ones of its tasks."""

    worker: str
    innocent: tuple[Holding, ...]


class Keeper:
    """``crew`` says which processes there are now."""

    def __init__(self, plan: Plan, outages: Outages, *, crew: Callable[[], list[Member]]) -> None:
        self._plan = plan
        self._crew = crew
        self._client = connection.client(timeout=5.0)
        self._queues: dict[str, Queue] = {}
        self._lost: SimpleQueue[Lost | None] = SimpleQueue()  # None: nothing, look up
        self._returning: Lost | None = None
        self._ended = self._returned = 0  # processes; each number is written by one thread
        self._beating = threading.Lock()  # held while a process is looked at and said to live
        self._since = time.time()
        self._unit = worker_id(plan.name, os.getpid(), new_mark())
        self.given_back = 0
        self.asked: Asked | None = None  # what an operator wants of this worker
        self.loops = [
            Loop("leases", self._renew, outages=outages),
            Loop("returns", self._give_back, outages=outages),
            Loop("sweeps", self._sweep, outages=outages),
            Loop("heartbeats", self._beat, outages=outages),
        ]

    def start(self) -> None:
        """All of them."""
        for loop in self.loops:
            loop.start()

    def lost(self, member: Member) -> None:
        """This process has ended: what it held is handed back and its heartbeats are taken away, at once or as soon as
        Redis can be reached."""
        self._ended += 1
        self._lost.put(Lost(member.worker, tuple(member.innocent())))

    def finish(self, seconds: float) -> bool:
        """Hand back what is left, within ``seconds``, and end; False if that was not enough."""
        deadline = time.monotonic() + seconds
        returns = self.loops[1]
        while not (done := self._returned == self._ended) and time.monotonic() < deadline:
            time.sleep(0.005)
        for loop in self.loops:
            loop.stop()
        self._lost.put(None)  # who waits for something looks up
        if done:
            returns.join(max(0.0, deadline - time.monotonic()))
        return done

    @property
    def failures(self) -> set[str]:
        """What is wrong now."""
        return {loop.failure for loop in self.loops if loop.failure is not None}

    # -- the steps

    def _renew(self, stopping: threading.Event) -> None:
        began = time.monotonic()
        for member in self._crew():
            by_queue: defaultdict[str, list[Claim]] = defaultdict(list)
            for holding, _ in list(member.held.values()):
                by_queue[holding.queue].append(holding.claim)
            for name, claims in by_queue.items():
                gone = self._queue(name).renew(member.worker, claims, self._plan.lease_ms)
                for why in ("lost", "cancelled"):
                    if some := [claim for claim, said in gone.items() if said == why]:
                        member.channel.send(Halt(some, why))
            member.channel.send(Renewed())
        stopping.wait(max(0.0, began + self._plan.lease_ms / 3000 - time.monotonic()))

    def _give_back(self, stopping: threading.Event) -> None:
        if self._returning is None:
            try:
                self._returning = self._lost.get(timeout=0.5)
            except Empty:
                return
        lost = self._returning
        if lost is None:
            return
        by_queue: defaultdict[str, list[Released]] = defaultdict(list)
        for holding in lost.innocent:
            by_queue[holding.queue].append(Released(holding.id, holding.token))
        for name, outcomes in by_queue.items():
            self.given_back += sum(self._queue(name).settle(lost.worker, outcomes))
        queues = self._all()
        for queue in queues:
            self.given_back += len(queue.release_worker(lost.worker))
        with self._beating:  # no heartbeat of it is under way, and none comes any more
            for queue in queues:
                queue.gone(lost.worker)
        self._returning = None
        self._returned += 1

    def _sweep(self, stopping: threading.Event) -> None:
        for queue in self._all():
            swept = queue.sweep(self._plan.lease_ms)
            if swept.reclaimed or swept.crashed_to_dead or swept.reconciled:
                logger.warning(
                    "queue %s: %d tasks of lost workers are ready again, %d went to the dead letters, "
                    "%d were put in order",
                    queue.name, swept.reclaimed, swept.crashed_to_dead, swept.reconciled,
                )  # fmt: skip
        # The lock of the sweep lasts for lease / 4: asking more often than that costs next to nothing.
        stopping.wait(self._plan.lease_ms / 16000 * random.uniform(0.5, 1.0))  # noqa: S311 (jitter)

    def _beat(self, stopping: threading.Event) -> None:
        for member in self._crew():
            facts = self._facts(member)
            for queue in self._all():
                with self._beating:
                    if member.alive:
                        queue.beat(member.worker, facts)
        self.asked = draining.heard(self._client, self._plan.alias, self._unit)
        if self.asked is not None and self.asked.wish == "go on":
            self.obeyed()
        stopping.wait(self._plan.lease_ms / 3000)

    def obeyed(self) -> None:
        """What was asked is being done, and is not to be asked of whoever comes next."""
        with suppress(BrokerError):
            draining.done(self._client, self._plan.alias, self._unit)

    def _facts(self, member: Member) -> dict[str, object]:
        """What an admin page shows of a worker."""
        held = list(member.held.values())
        now, clock = time.time(), time.monotonic()
        return {
            "host": self._plan.name,
            "pid": member.pid,
            "supervisor": os.getpid(),
            "unit": self._unit,
            "backend": self._plan.alias,
            "since": int(member.since * 1000),
            "python": platform.python_version(),
            "django": django.get_version(),
            "queues": str(self._plan.choice),
            "slots": self._plan.concurrency,
            "busy": len(held),
            "begun": member.begun,
            "state": member.leaving or member.failure or self._state(member),
            "tasks": [
                {
                    "id": each.id,
                    "task": each.task,
                    "queue": each.queue,
                    "since": int((now - clock + since) * 1000),
                }
                for each, since in held[:SHOWN_TASKS]
            ],
        }

    def _state(self, member: Member) -> str:
        if self.asked is not None and self.asked.wish == "stay":
            return QUIET
        return "working" if member.ready else "starting"

    def _all(self) -> list[Queue]:
        """Every queue that a process may have claimed from."""
        known: Iterable[str] = ()
        if self._plan.choice.every:
            known = known_queues(self._client, self._plan.alias)
        return [self._queue(name) for name in self._plan.choice.of(known)]

    def _queue(self, name: str) -> Queue:
        return self._queues.setdefault(name, Queue(self._client, self._plan.alias, name))
