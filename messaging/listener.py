"""Capture, relay, outbox, ordered channels, pruning and the duties for tasks -> one supervised service.

It can be stopped at any time. Many may run; one is in charge.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from queue import Empty, SimpleQueue

import msgspec
import redis
from redis.exceptions import RedisError

from messaging import connection, lease, log, pruner
from messaging.capture import ChannelCapture, ListCapture
from messaging.conf import conf
from messaging.cursors import LostFence
from messaging.loop import Loop, Outages, what_failed
from messaging.ordered import OrderedSender
from messaging.outbox import Sweeper
from messaging.relay import Relay

logger = logging.getLogger("messaging.listen")

LINGER_SECONDS = (
    0.05  # after a small batch, so that a steady trickle costs 20 transactions a second and not 1,000
)
BLOCK_MS = 1000
SWEEP_SECONDS = 1.0
ORDERED_SECONDS = (
    0.1  # between two looks at the ordered channels; a fifth of it while something is on its way
)
STOP_SECONDS = 15.0  # for all threads to end the step they are in
STUCK_SECONDS = 300.0  # in one step: whatever it waits for, it would have come, or failed, by now


class Report(msgspec.Struct, frozen=True):
    """What a listener says of itself: in its heartbeat, on its terminal and to the probes."""

    owner: str
    in_charge: bool
    holder: str  # who is in charge
    stored: int  # messages stored since the start
    captured: int  # of them foreign
    lag_seconds: float  # age of the oldest message not stored yet; 0 when all are stored
    failures: dict[str, str]  # what is wrong now, by part
    at: float  # seconds since 1970


class Listener:
    """Runs until :meth:`stop`. ``channels`` and ``lists`` are captured besides those of the settings. ``polite``: other
    threads of this process have something better to do than to wait."""

    def __init__(
        self, *, channels: Sequence[str] = (), lists: Sequence[str] = (), polite: bool = False
    ) -> None:
        self._polite = polite
        self._channels = tuple(dict.fromkeys((*conf.CAPTURE_CHANNELS, *channels)))
        self._lists = tuple(dict.fromkeys((*conf.CAPTURE_LISTS, *lists)))
        self._client = connection.client(timeout=10.0)
        self._lease = lease.Lease(self._client)
        self._stopped = False
        self._wake: SimpleQueue[None] = SimpleQueue()  # unlike an Event, safe in a signal handler
        self._loops: list[Loop] = []
        self._relays: list[Relay] = []
        self._captures: list[ChannelCapture | ListCapture] = []
        self._outages = Outages()
        self._failure: str | None = None  # why the lease cannot be asked for
        self._was = ""
        self._stored_before = self._captured_before = 0
        self.in_charge = threading.Event()  # set while this listener relays

    def stop(self) -> None:
        """Ask it to drain and end; returns at once, from any thread or signal handler."""
        self._stopped = True
        self._wake.put(None)

    def run(self, *, on_tick: Callable[[Report], None] | None = None, tick_seconds: float = 1.0) -> None:
        """Work until stopped. ``on_tick`` gets a report about every ``tick_seconds``."""
        next_tick = time.monotonic()
        try:
            while not self._stopped:
                try:
                    self._supervise()
                    self._suffers(None)
                except RedisError as error:
                    connection.heed(error)
                    self._suffers(error)
                    if not self._lease.is_ours:
                        self._end_work()
                if on_tick is not None and time.monotonic() >= next_tick:
                    next_tick = time.monotonic() + tick_seconds
                    on_tick(self.report())
                with suppress(Empty):
                    self._wake.get(timeout=min(conf.LEASE_SECONDS / 3, tick_seconds))
        finally:
            self._outages.close()
            self._end_work()
            with suppress(RedisError):
                self._lease.release()

    def _suffers(self, error: RedisError | None) -> None:
        reason = None if error is None else what_failed(error)
        if reason == self._failure:
            return
        if self._failure is not None:
            self._outages.ended("listener", self._failure)
        if error is not None and reason is not None:
            self._outages.began("listener", reason, error)
        self._failure = reason

    def _supervise(self) -> None:
        """Hold the lease, and let the threads run exactly while it is ours."""
        ours = self._lease.hold()
        if any(isinstance(loop.ended_by, (LostFence, lease.Fenced)) for loop in self._loops):
            logger.warning("another listener took over; standing by")
            self._end_work()
            return
        if ours and not self._loops:
            self._begin_work()
        elif ours:
            for loop in self._relay_all():
                loop.start()
        elif self._loops:
            self._end_work()
        now = "in charge" if ours else f"standing by for {self._lease.holder}"
        if now != self._was:
            logger.info("listener %s is %s", self._lease.owner, now)
            self._was = now
        if ours:
            lease.beat(self._client, msgspec.json.encode(self.report()))

    def _begin_work(self) -> None:
        try:
            self._lease.raise_fences()
        except lease.Fenced as error:  # its token is of a clock that was set back: the next one is higher
            logger.warning("%s; giving the lease back", error)
            self._lease.release()
            return
        try:
            self._plan_work()
        except BaseException:  # or half of it would be taken for all, by the next look
            self._end_work()
            raise
        for loop in self._loops:
            loop.start()
        self.in_charge.set()

    def _plan_work(self) -> None:
        """Make all loops; none is started yet."""
        self._relay_all()
        if self._channels:
            capture = ChannelCapture(self._client, self._channels, token=self._lease.token)
            self._capture("channels", capture)
        for name in self._lists:
            drain = ListCapture(self._client, name, token=self._lease.token)
            self._capture(f"list {name!r}", drain)
        sweeper = Sweeper(self._client)

        def sweep(stopping: threading.Event) -> None:
            if not sweeper.sweep({relay.partition: relay.position for relay in self._relays}):
                stopping.wait(SWEEP_SECONDS)

        self._loops.append(Loop("outbox", sweep, outages=self._outages))
        if conf.ORDERED_CHANNELS:
            self._loops.append(Loop("ordered channels", self._send_ordered(), outages=self._outages))
        if conf.PRUNE_DAYS or conf.PRUNE_ROWS:
            self._loops.append(Loop("pruning", partial(pruner.step, self._client), outages=self._outages))
        self._loops += _task_loops(self._client, self._outages)

    def _relay_all(self) -> list[Loop]:
        """A relay for each partition that has none yet: processes that still run with another number of partitions
        may write to one that nobody knew of."""
        relayed = {relay.partition for relay in self._relays}
        added = []
        for partition in log.partitions_to_drain(self._client):
            if partition not in relayed:
                relay = Relay(self._client, partition, polite=self._polite)
                self._relays.append(relay)
                added.append(_relay_loop(relay, self._outages))
        self._loops += added
        return added

    def _capture(self, what: str, made: ChannelCapture | ListCapture) -> None:
        self._captures.append(made)
        self._loops.append(
            Loop(f"capture of {what}", made.step, outages=self._outages, fatal=(lease.Fenced,))
        )

    def _send_ordered(self) -> Callable[[threading.Event], None]:
        """The step that sends what has its turn."""
        sender = OrderedSender(self._client, may_send=lambda: self._lease.is_ours)

        def step(stopping: threading.Event) -> None:
            if not sender.step({relay.partition: relay.position for relay in self._relays}):
                stopping.wait(ORDERED_SECONDS / 5 if sender.waits else ORDERED_SECONDS)

        return step

    def _end_work(self) -> None:
        """Stop every thread after the step it is in."""
        loops = [loop for loop in self._loops if loop.ident is not None]  # those that were started
        self._loops = []
        for loop in loops:
            loop.stop()
        deadline = time.monotonic() + STOP_SECONDS
        for loop in loops:
            loop.join(max(0.0, deadline - time.monotonic()))
            if loop.is_alive():
                logger.error("%s did not end within %.0f s", loop.name, STOP_SECONDS)
        for capture in self._captures:
            capture.close()
        self._stored_before += sum(relay.stored for relay in self._relays)
        self._captured_before += sum(capture.captured for capture in self._captures)
        self._relays, self._captures = [], []
        self.in_charge.clear()

    def report(self) -> Report:
        """How things stand now; asks nobody."""
        now = time.time()
        parts = {"listener": self._failure} | {loop.name: loop.failure for loop in self._loops}
        behind = [relay for relay in self._relays if not relay.caught_up and relay.position > log.START]
        return Report(
            owner=self._lease.owner,
            in_charge=self.in_charge.is_set(),
            holder=self._lease.holder,
            stored=self._stored_before + sum(relay.stored for relay in self._relays),
            captured=self._captured_before + sum(capture.captured for capture in self._captures),
            lag_seconds=max((round(now - relay.position.ms / 1000, 3) for relay in behind), default=0.0),
            failures={name: failure for name, failure in parts.items() if failure is not None},
            at=now,
        )

    def stuck(self) -> list[str]:
        """What hangs, and will until this process is started again: a database that fell silent without an end of the
        connection, for example."""
        now = time.monotonic()
        steps = [(loop.part, now - since) for loop in self._loops if (since := loop.busy_since) is not None]
        return [
            f"{name} has not ended a step for {took:.0f} s" for name, took in steps if took > STUCK_SECONDS
        ]


def _relay_loop(relay: Relay, outages: Outages) -> Loop:
    taken_over = False

    def step(stopping: threading.Event) -> None:
        nonlocal taken_over
        if not taken_over:
            relay.take_over()
            taken_over = True
        stored = relay.step(block_ms=BLOCK_MS)
        if stored and relay.caught_up:
            stopping.wait(LINGER_SECONDS)

    def recover() -> None:
        if taken_over:
            relay.reload()

    name = f"relay of partition {relay.partition}"
    return Loop(name, step, outages=outages, recover=recover, fatal=(LostFence,))


def _task_loops(client: redis.Redis, outages: Outages) -> list[Loop]:
    """What a listener does for tasks. That stands above this module, and a site on Django 5.2 need not have Tasks."""
    try:
        duties = import_module("messaging.duties")
    except ModuleNotFoundError as error:
        if error.name != "django_tasks":
            raise
        return []
    loops: list[Loop] = duties.loops(client, outages, block_ms=lambda: BLOCK_MS)
    return loops


def report_of(raw: bytes | None) -> Report | None:
    """A heartbeat -> the report in it."""
    with suppress(msgspec.MsgspecError):
        return None if raw is None else msgspec.json.decode(raw, type=Report)
    return None
