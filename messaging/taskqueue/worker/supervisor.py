"""A plan -> worker processes that are there as long as they are wanted; signals -> their drain. The main thread.

It starts them, passes on what they say, sees at once who has ended, replaces it, and hears the signals: the first INT,
TERM or HUP drains, the second hands everything back and ends.
"""

from __future__ import annotations

import logging
import os
import select
import selectors
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

import msgspec

from messaging.exits import CANNOT_START, DONE, DRAIN_TIMED_OUT, ENDED_AT_ONCE, SAME_SIGNAL, STOPPING
from messaging.loop import Outages
from messaging.taskqueue.draining import QUIET
from messaging.taskqueue.worker import messages
from messaging.taskqueue.worker.crew import Member
from messaging.taskqueue.worker.keeper import Keeper
from messaging.taskqueue.worker.plan import Plan
from messaging.taskqueue.worker.staff import Staff

logger = logging.getLogger("messaging.work")

END_SECONDS = 3.0  # for a process that was told to leave its tasks behind
RETURN_SECONDS = 5.0  # to hand back what is left, at the very end


class Report(msgspec.Struct, frozen=True):
    """How a worker stands: for its terminal and for programs."""

    processes: int  # that claim
    slots: int
    busy: int
    succeeded: int
    failed: int  # to the dead letters
    retried: int
    released: int
    lost: int  # processes that ended by themselves
    failures: list[str]  # what is wrong now
    state: str  # starting | working | waiting | quiet | draining
    at: float  # seconds since 1970


class Supervisor:
    """A context manager: inside it signals are counted instead of raised. ``say`` gets each line that a process has
    said, if ``piped``; without it they speak for themselves. ``on_tick`` gets a report about once a second."""

    def __init__(
        self,
        plan: Plan,
        *,
        say: Callable[[str], None] | None = None,
        on_tick: Callable[[Report], None] = lambda report: None,
        on_drain: Callable[[], None] = lambda: None,
    ) -> None:
        self._plan = plan
        self._say = say
        self._on_tick = on_tick
        self._on_drain = on_drain
        self._staff = Staff(plan, piped=say is not None)
        self._outages = Outages(logger)
        self._keeper = Keeper(plan, self._outages, crew=lambda: self._staff.members)
        self._counts = dict.fromkeys(("succeeded", "failed", "retried", "released"), 0)
        self._selector = selectors.DefaultSelector()
        self._before: dict[signal.Signals, Any] = {}
        self._signals = 0
        self._last_signal = -SAME_SIGNAL
        self._code = DONE
        self._deadline: float | None = None  # of the drain
        self._cut_at: float | None = None  # when what has not ended by then is killed

    def __enter__(self) -> Self:
        self._wakeup, writer = os.pipe()
        os.set_blocking(writer, False)
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        for number in STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` ignores HUP: leave it so
                self._before[number] = signal.signal(number, self._on_signal)
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)  # wakes the loop
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        return self

    def __exit__(self, *error: object) -> None:
        os.close(signal.set_wakeup_fd(-1))
        for number, handler in self._before.items():
            signal.signal(number, handler)
        for member in self._staff.members:  # only after an error
            member.kill()
        os.close(self._wakeup)
        self._selector.close()

    def run(self) -> int:
        """Until a signal, or until there is nothing more to do. An exit code; what was held has been handed back."""
        self._keeper.start()
        next_tick = time.monotonic()
        while self._staff.wanted:
            for member in self._staff.hire():
                self._meet(member)
            self._hear(0.1)
            for member in self._staff.members:
                member.channel.flush()
                if not member.alive:
                    self._part(member)
            self._heed_signals()
            self._heed_operator()
            self._staff.inspect()
            if time.monotonic() >= next_tick:
                next_tick = time.monotonic() + 1.0
                self._on_tick(self.report())
        self._outages.close()
        if self._keeper.asked is not None:
            self._keeper.obeyed()
        if not self._keeper.finish(RETURN_SECONDS if self._signals < 2 else 2.0):
            logger.warning("Redis is away: what was held is taken back by other workers after its lease")
        self._on_tick(self.report())
        return self._code

    def report(self) -> Report:
        """How things stand."""
        claiming = [each for each in self._staff.members if each.ready and not each.leaving]
        failures = sorted(
            {each.failure for each in self._staff.members if each.failure} | self._keeper.failures
        )
        working = QUIET if self._staff.quiet else "working"
        state = "waiting" if failures else working if claiming else "starting"
        return Report(
            processes=len(claiming),
            slots=len(claiming) * self._plan.concurrency,
            busy=sum(len(each.held) for each in self._staff.members),
            failures=failures,
            state=state if self._deadline is None else "draining",
            lost=self._staff.lost,
            at=time.time(),
            **self._counts,
        )

    # -- what they say

    def _hear(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            member: Member | None = key.data
            if member is None:
                os.read(self._wakeup, 4096)  # a signal has come: its handler has run
            elif key.fileobj is member.channel:
                self._listen(member)
            elif not self._pass_on(member):
                self._selector.unregister(key.fileobj)

    def _listen(self, member: Member) -> None:
        for message in member.channel.receive():
            match message:
                case messages.Took():
                    member.take(message)
                case messages.Waits(claims):
                    member.waiting.update(claims)
                case messages.Begins(claim):
                    member.waiting.discard(claim)
                case messages.Gave():
                    member.give(message)
                    for name in ("succeeded", "failed", "retried", "released"):
                        self._counts[name] += getattr(message, name)
                case messages.Ready():
                    member.ready = self._staff.ever_ready = True
                case messages.Feels(failure, detail):
                    self._feel(member, failure, detail)
                case messages.Retiring(reason):
                    self._staff.retire(member, reason, told=True)
                case messages.Loaded(files) if self._staff.changes is not None:
                    self._staff.changes.watch(files, since=member.since)
        if member.channel.gone and member.channel in self._selector.get_map():
            self._selector.unregister(member.channel)

    def _feel(self, member: Member, failure: str, detail: str) -> None:
        part = f"process {member.pid}"
        if member.failure:
            self._outages.ended(part, member.failure)
        if failure:
            self._outages.began(part, failure, RuntimeError(detail))
        member.failure = failure

    def _pass_on(self, member: Member) -> bool:
        lines = member.said()
        for line in lines or ():
            if self._say is not None:
                self._say(line)
        return lines is not None

    # -- who is there

    def _meet(self, member: Member) -> None:
        self._selector.register(member.channel, selectors.EVENT_READ, member)
        if member.process.stdout is not None:
            os.set_blocking(member.process.stdout.fileno(), False)
            self._selector.register(member.process.stdout, selectors.EVENT_READ, member)

    def _part(self, member: Member) -> None:
        """It has ended: its last words are heard, its tasks go back, its seat is free."""
        self._listen(member)
        if member.process.stdout is not None:
            while select.select([member.process.stdout], [], [], 0)[0] and self._pass_on(member):
                pass
        for file in (member.channel, member.process.stdout):
            if file is not None and file in self._selector.get_map():
                self._selector.unregister(file)
        member.close()
        self._feel(member, "", "")
        self._keeper.lost(member)  # in any case: Redis knows best whether it held something
        self._staff.bury(member)

    # -- the end

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._last_signal > SAME_SIGNAL:
            self._last_signal = now
            self._signals += 1

    def _heed_signals(self) -> None:
        now = time.monotonic()
        if self._staff.hopeless and self._deadline is None:
            logger.error("a worker process cannot start, see above: giving up")
            self._code = CANNOT_START
            self._drain()
        if self._signals and self._deadline is None:
            self._on_drain()
            self._drain()
        if self._deadline is None:
            return
        if self._signals >= 2 and self._code != ENDED_AT_ONCE:
            self._code = ENDED_AT_ONCE
            for member in self._staff.members:
                member.kill()
        elif now >= self._deadline and self._cut_at is None:
            self._code = DRAIN_TIMED_OUT
            self._cut_at = now + END_SECONDS
            for member in self._staff.members:
                member.blamed = ()
                member.channel.send(messages.Drain(now=True))
        elif self._cut_at is not None and now >= self._cut_at:
            for member in self._staff.members:
                member.kill()

    def _heed_operator(self) -> None:
        asked = self._keeper.asked
        if self._deadline is not None:
            return
        if asked is not None and asked.wish == "end":
            logger.info("drains and ends, as %s asked", asked.by)
            self._on_drain()
            self._drain()
            return
        quiet = asked is not None and asked.wish == "stay"
        if quiet != self._staff.quiet:
            said = f"takes no more tasks, as {asked.by} asked" if asked and quiet else "takes tasks again"
            logger.info("%s", said)
            self._staff.hush(quiet)

    def _drain(self) -> None:
        self._deadline = time.monotonic() + self._plan.drain_seconds
        self._staff.hire_no_more()
        for member in self._staff.members:
            member.leave("draining")
            if member.ready:
                member.channel.send(messages.Drain())
            else:
                member.kill()  # it has not begun to claim
