"""Queues -> free slots -> outcomes -> queues: the one thread of a process that claims and acknowledges.

Outcomes are settled as soon as there is one, together with all that have come by then, and in the same exchange with
Redis their slots are filled again: while it answers for one batch the next one gathers. What is claimed never exceeds
the slots that are free at that moment.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

from messaging.errors import BrokerError, TaskUnknown, TaskUnreadable
from messaging.taskqueue import running
from messaging.taskqueue.backend import RedisTaskBackend
from messaging.taskqueue.job import Claim, Claimed, Failed, Outcome, Released, Retry, Succeeded
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.worker import messages
from messaging.taskqueue.worker.held import Held
from messaging.taskqueue.worker.sources import Sources, drawn
from messaging.taskqueue.worker.successors import Successors
from messaging.taskqueue.worker.suspects import Suspects

logger = logging.getLogger("messaging.work")

LOOK_SECONDS = 1.0  # at most between two looks at what else there is to do


class Feeder:
    """``start`` puts tasks to work, ``tell`` reaches the supervisor, ``on_empty`` is called when nothing is held and
    nothing more is to come."""

    def __init__(
        self,
        backend: RedisTaskBackend,
        sources: Sources,
        *,
        worker: str,
        slots: int,
        lease_ms: int,
        budget: int,
        burst: bool,
        start: Callable[[Sequence[Held]], None],
        tell: Callable[[messages.FromProcess], None],
        on_empty: Callable[[], None],
    ) -> None:
        self._backend = backend
        self._sources = sources
        self._worker = worker
        self._slots = slots
        self._lease_ms = lease_ms
        self._budget = budget or float("inf")
        self._burst = burst
        self._start = start
        self._tell = tell
        self._on_empty = on_empty
        self._events: SimpleQueue[Held | None] = SimpleQueue()
        self._unsettled: list[Held] = []
        self._unanswered: set[Queue] = set()  # their latest claim has not been answered
        self._hungry = True  # a claim may find something
        self._once = threading.Lock()
        self.claiming = True
        self.quiet = False  # for now
        self.held: dict[Claim, Held] = {}  # written by this thread only
        self._suspects = Suspects(tell)
        self._successors = Successors(self.held, tell)

    # -- from any thread

    def done(self, held: Held) -> None:
        """This task has ended; a second word about the same one is not heard."""
        with self._once:
            if held.ended:
                return
            held.ended = True
        self._events.put(held)

    def wake(self) -> None:
        """There may be something to claim, or a reason to end."""
        self._hungry = True
        self._events.put(None)

    def hush(self, quiet: bool) -> None:
        """Claim no more for now, or again."""
        self.quiet = quiet
        self.wake()

    def drain(self) -> None:
        """Claim no more."""
        self.claiming = False
        self.wake()

    # -- the thread

    def step(self, stopping: threading.Event) -> None:
        """Settle what has ended, claim for what is free. Raises what the queue raises, and goes on from there."""
        self._gather(block=not self._unsettled and not self._may_claim())
        if self._unsettled or self._may_claim():
            self._trade()
        if self._suspects or self._successors:
            self._look_after_those_who_wait()
        if not self.held and (not self.claiming or self._budget <= 0):
            with suppress(BrokerError):  # Redis may be away
                self._give_back_strays(*self._unanswered)
            stopping.set()
            self._on_empty()

    def _look_after_those_who_wait(self) -> None:
        if self.claiming:
            if following := self._suspects.following():
                self._put_to_work([following])
            self._put_to_work(self._suspects.aside(self._successors.following()))
        leaving = self._suspects.leaving(all_of_them=not self.claiming)
        if not self.claiming:
            leaving += self._successors.leaving()
        for held in leaving:
            held.outcome = Released(held.job.id, held.job.token)
            self.done(held)

    def _may_claim(self, *, freed: int = 0) -> bool:
        return self.claiming and not self.quiet and self._hungry and self._room(freed=freed) > 0

    def _room(self, *, freed: int = 0) -> int:
        """Jobs that may be claimed when so many slots more are free."""
        return int(min(self._slots - len(self.held) + freed, self._budget))

    def _gather(self, *, block: bool) -> None:
        try:
            event = self._events.get(block, LOOK_SECONDS)
            while True:
                if event is not None:
                    self._unsettled.append(event)
                event = self._events.get_nowait()
        except Empty:
            pass

    def _trade(self) -> None:
        """Of each queue the outcomes that there are go in, and jobs for the slots that are free then come out."""
        if self._burst and self._unsettled:
            self._hungry = True
        ended = len(self._unsettled)
        asks = self._may_claim(freed=ended)
        by_queue: defaultdict[Queue, list[Held]] = defaultdict(list)
        for held in self._unsettled:
            by_queue[held.queue].append(held)
        weights = self._sources.weights() if asks else {}
        while True:
            wanted = drawn(weights, self._room(freed=ended))
            for queue in [*(by_queue.keys() - wanted.keys()), *wanted]:
                those = by_queue.pop(queue, [])
                count = min(wanted.get(queue, 0), self._room(freed=len(those)))
                if self._exchange(queue, those, count) < count:
                    del weights[queue]
                    self._sources.dry(queue)
            ended = 0
            if not weights or self._room() <= 0:
                break
        if asks and self._room() > 0:
            self._go_without()

    def _exchange(self, queue: Queue, those: Sequence[Held], count: int) -> int:
        """How many jobs have come."""
        if queue in self._unanswered:
            self._give_back_strays(queue)
        if count:
            self._unanswered.add(queue)
        outcomes = [outcome for held in those if (outcome := held.settled()) is not None]
        asked_at = time.monotonic()
        kept, jobs = queue.exchange(self._worker, outcomes, count, lease_ms=self._lease_ms)
        self._unanswered.discard(queue)
        if those:
            gone = set(those)
            self._unsettled = [held for held in self._unsettled if held not in gone]
            for held in those:
                del self.held[held.job.claim]
            self._suspects.settled(those)
            self._tell(_gave(those, _refused(outcomes, kept)))
        if jobs:
            self._take(queue, jobs, asked_at)
        return len(jobs)

    def _give_back_strays(self, *queues: Queue) -> None:
        """A claim whose reply was lost may have taken jobs that nobody here knows of. They have not begun: should their
        leases run out, each would count as a crash, and a few such replies send a job to the dead letters."""
        for queue in queues:
            strays = [claim for claim in queue.claims_of(self._worker) if claim not in self.held]
            queue.settle(self._worker, [Released(*claim) for claim in strays])
            self._unanswered.discard(queue)

    def _go_without(self) -> None:
        """There is nothing for the slots that are free."""
        self._hungry = False
        if not self._burst:
            self._sources.watch()
        elif not self.held:
            self.claiming = False

    def _take(self, queue: Queue, jobs: Sequence[Claimed], asked_at: float) -> None:
        # A Redis that has lost its memory counts claims anew: what runs here may be what it has just handed out.
        jobs = [job for job in jobs if job.claim not in self.held]
        holding = [messages.Holding(job.id, job.token, queue.name, job.task, job.timeout_ms) for job in jobs]
        self._tell(messages.Took(holding))  # before anything of theirs runs
        self._budget -= len(jobs)
        # Was this process frozen since it asked? Then they may be another one's by now: no renewal has covered them,
        # since the supervisor learns of them only here. From here on it renews them, however long they take to begin.
        frozen = time.monotonic() - asked_at > self._lease_ms / 1500
        ready = []
        for job in jobs:
            held = self.held[job.claim] = Held(queue, job)
            if frozen:
                held.outcome = Released(job.id, job.token)
                self.done(held)
            elif self._begin(held):
                ready.append(held)
            else:
                self.done(held)
        self._put_to_work(self._suspects.aside(self._successors.aside(ready)))

    def _put_to_work(self, tasks: Sequence[Held]) -> None:
        if not tasks:
            return
        now = time.monotonic()
        for held in tasks:
            held.started = True
            attempt = held.attempt
            if attempt is not None and (seconds := held.job.timeout_ms / 1000 or attempt.options.timeout):
                held.deadline = now + seconds
        self._start(tasks)

    def _begin(self, held: Held) -> bool:
        try:
            held.attempt = running.begin(self._backend, held.queue.name, held.job)
        except (TaskUnknown, TaskUnreadable) as error:
            held.outcome = running.refused(held.job, error)
            return False
        return True


def _refused(outcomes: Sequence[Outcome], kept: Sequence[bool]) -> list[Claim]:
    refused = [(outcome.id, outcome.token) for outcome, ours in zip(outcomes, kept, strict=True) if not ours]
    if refused:
        logger.warning(
            "%d outcomes came too late, their leases were lost: %s",
            len(refused),
            ", ".join(job_id for job_id, _ in refused[:5]),
        )
    return refused


def _gave(those: Sequence[Held], refused: Sequence[Claim]) -> messages.Gave:
    counts = Counter(type(held.outcome) for held in those if not refused or held.job.claim not in refused)
    return messages.Gave(
        [held.job.claim for held in those],
        succeeded=counts[Succeeded],
        failed=counts[Failed],
        retried=counts[Retry],
        released=counts[Released],
    )
