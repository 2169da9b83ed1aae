"""Orders of the supervisor -> one worker process: claims, runs, acknowledges, until it is told to end.

The supervisor renews the leases of what is held here. Should it fall silent, this process does so itself; should it be
gone, this process drains, within ORPHAN_SECONDS.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress

from messaging.errors import BrokerError, MessagingError
from messaging.exits import DONE, DRAIN_TIMED_OUT, STOPPING
from messaging.loop import Loop, Outages, what_failed
from messaging.taskqueue.job import Claim, Released
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.running import Stop
from messaging.taskqueue.worker import messages
from messaging.taskqueue.worker.backends import backend_of
from messaging.taskqueue.worker.coroutines import Coroutines
from messaging.taskqueue.worker.feeder import Feeder
from messaging.taskqueue.worker.held import Held
from messaging.taskqueue.worker.messages import Channel, FromSupervisor, Orders
from messaging.taskqueue.worker.plan import worker_id
from messaging.taskqueue.worker.reloading import loaded_files
from messaging.taskqueue.worker.sources import Sources
from messaging.taskqueue.worker.threads import Threads
from messaging.taskqueue.worker.watchdog import Watchdog

logger = logging.getLogger("messaging.work")

ORPHAN_SECONDS = 10.0  # for the tasks of a process whose supervisor was killed: less than a lease
CLEAN_UP_SECONDS = 1.0  # for coroutines that are cancelled at the end


class Told(Outages):
    """What is wrong with the world -> the supervisor, who says it once for all of its processes."""

    def __init__(self, channel: Channel[FromSupervisor]) -> None:
        super().__init__()
        self._channel = channel

    def began(self, part: str, reason: str, error: Exception) -> None:
        if reason != what_failed(error) or not isinstance(error, MessagingError):
            logger.error("%s: %s", part, reason, exc_info=error)
        self._channel.send(messages.Feels(reason, str(error)))

    def ended(self, part: str, reason: str) -> None:
        self._channel.send(messages.Feels(""))


class Process:
    """What main() runs. The thread that calls :meth:`run` listens, keeps time limits and, if need be, leases."""

    def __init__(self, channel: Channel[FromSupervisor], orders: Orders) -> None:
        plan = orders.plan
        self._plan = plan
        self._channel = channel
        self._worker = worker_id(plan.name, os.getpid(), orders.mark)
        self._sources = Sources(plan.alias, plan.choice, found=lambda: self._feeder.wake())
        self._feeder = Feeder(
            backend_of(plan.alias),
            self._sources,
            worker=self._worker,
            slots=plan.concurrency,
            lease_ms=plan.lease_ms,
            budget=orders.budget,
            burst=plan.burst,
            start=self._start,
            tell=channel.send,
            on_empty=self._ring,
        )
        self._feeder.quiet = orders.quiet
        self._threads = Threads(plan.concurrency, done=self._feeder.done)
        self._coroutines = Coroutines(done=self._feeder.done)
        self._watchdog = Watchdog(
            self._feeder.held,
            self._threads,
            self._coroutines,
            stop_seconds=plan.stop_seconds,
            done=self._feeder.done,
        )
        self._loop = Loop("feeder", self._feeder.step, outages=Told(channel))
        self._bell, self._ringing = os.pipe()
        os.set_blocking(self._ringing, False)
        self._selector = selectors.DefaultSelector()
        for file in (self._bell, channel):
            self._selector.register(file, selectors.EVENT_READ)
        self._heard_at = time.monotonic()  # from the supervisor
        self._renewed_at = time.monotonic()  # by this process
        self._end_at: float | None = None  # when the tasks that run are left behind
        self._asked = self._draining = self._orphaned = False
        self._known_modules = 0

    def run(self) -> int:
        """Until there is nothing left to do; an exit code."""
        for number in STOPPING:
            signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(self._ringing, warn_on_full_buffer=False)
        self._loop.start()
        self._channel.send(messages.Ready())
        while self._loop.is_alive():
            self._listen(self._watchdog.look())
            self._keep()
            now = time.monotonic()
            if self._end_at is not None and now >= self._end_at:
                self._hand_back()
                return DRAIN_TIMED_OUT
        if self._channel.gone:
            self._sign_off()
        return DONE

    @property
    def left_behind(self) -> bool:
        """Whether tasks of this process still run, and would hold up an end in good order."""
        return bool(self._watchdog.given_up or self._feeder.held)

    # -- inside

    def _on_signal(self, *_: object) -> None:
        self._asked = True  # and the loop wakes; the rest needs locks, which a handler must not

    def _ring(self) -> None:
        with suppress(BlockingIOError):
            os.write(self._ringing, b"!")

    def _start(self, tasks: Sequence[Held]) -> None:
        sync = [held for held in tasks if held.attempt is not None and not held.attempt.is_async]
        if len(sync) < len(tasks):
            self._coroutines.give(
                [held for held in tasks if held.attempt is not None and held.attempt.is_async]
            )
        if sync:
            self._threads.give(sync)
        if any(held.deadline is not None for held in tasks):
            self._ring()

    def _listen(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if key.fileobj == self._bell:
                os.read(self._bell, 4096)
        for message in self._channel.receive():
            self._heard_at = time.monotonic()
            match message:
                case messages.Halt(claims, why):
                    self._halt(claims, why)
                case messages.Quiet(on):
                    self._feeder.hush(on)
                case messages.Drain(now):
                    self._drain()
                    if now:
                        self._cancel_coroutines()
        self._channel.flush()
        if self._channel.gone and not self._orphaned:
            self._orphaned = True
            self._selector.unregister(self._channel)
            logger.warning("the supervisor is gone: process %d drains", os.getpid())
            last = time.monotonic() + min(ORPHAN_SECONDS, self._plan.drain_seconds)
            self._end_at = last if self._end_at is None else min(self._end_at, last)
            self._drain()

    def _keep(self) -> None:
        if self._asked and not self._draining:
            self._drain()
        now = time.monotonic()
        lease = self._plan.lease_ms / 1000
        if now - max(self._heard_at, self._renewed_at) > lease / 2 or (
            self._channel.gone and now - self._renewed_at > lease / 3
        ):
            self._renew()
        if self._watchdog.given_up and not self._draining:
            self._channel.send(messages.Retiring(f"task {self._watchdog.given_up[0]} does not end"))
            self._drain()
        if self._plan.reload and len(sys.modules) != self._known_modules:
            self._known_modules = len(sys.modules)
            self._channel.send(messages.Loaded(loaded_files()))

    def _renew(self) -> None:
        """What the supervisor should have done by now."""
        self._renewed_at = time.monotonic()
        by_queue: defaultdict[Queue, list[Claim]] = defaultdict(list)
        for held in list(self._feeder.held.values()):
            by_queue[held.queue].append(held.job.claim)
        with suppress(BrokerError):
            for queue, claims in by_queue.items():
                for claim, why in queue.renew(self._worker, claims, self._plan.lease_ms).items():
                    self._halt([claim], why)

    def _halt(self, claims: Iterable[Claim], why: str) -> None:
        for claim in claims:
            held = self._feeder.held.get(claim)
            if held is not None:
                self._watchdog.stop(held, Stop.LOST if why == "lost" else Stop.CANCELLED)

    def _drain(self) -> None:
        self._draining = True
        self._feeder.drain()
        for held in self._threads.take_back():
            if held.attempt is not None and held.attempt.stop is None:
                held.attempt.stop = Stop.HAND_BACK
            held.interrupted()
            self._feeder.done(held)

    def _cancel_coroutines(self) -> None:
        self._end_at = time.monotonic() + CLEAN_UP_SECONDS
        waits = False
        for held in list(self._feeder.held.values()):
            if held.attempt is not None and held.attempt.is_async:
                self._watchdog.stop(held, Stop.HAND_BACK)
                waits = True
        if not waits:
            self._end_at = time.monotonic()

    def _hand_back(self) -> None:
        """The supervisor does it for what it knows to be held here; without one, this process does."""
        if not self._channel.gone:
            return
        by_queue: defaultdict[Queue, list[Released]] = defaultdict(list)
        for held in list(self._feeder.held.values()):
            by_queue[held.queue].append(Released(held.job.id, held.job.token))
        with suppress(BrokerError):
            for queue, outcomes in by_queue.items():
                queue.settle(self._worker, outcomes)

    def _sign_off(self) -> None:
        """As the supervisor does for those that end before it."""
        with suppress(BrokerError):
            for queue in self._sources.seen():
                queue.gone(self._worker)
