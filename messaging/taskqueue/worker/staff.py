"""A plan -> as many worker processes as it wants; whoever ends, grows too large or hangs is replaced."""

from __future__ import annotations

import logging
import time

from messaging.taskqueue.worker import messages
from messaging.taskqueue.worker.crew import Member
from messaging.taskqueue.worker.memory import resident_mb
from messaging.taskqueue.worker.plan import Plan
from messaging.taskqueue.worker.reloading import Changes

logger = logging.getLogger("messaging.work")

MEMORY_EVERY = 1.0  # seconds between two looks
SOON = 10.0  # a process that ends sooner after its start is started again after a pause
FIRST_PAUSE = 0.25  # doubles with each further one
LONGEST_PAUSE = 15.0
EXIT_SECONDS = 5.0  # for a process that is to end and holds nothing any more


class Seat:
    """A place for one process, whoever has it."""

    def __init__(self, budget: int) -> None:
        self.member: Member | None = None
        self.budget = budget  # tasks that may still be begun here; 0: any number
        self.start_at: float | None = 0.0  # None: it has a member, or wants none any more
        self.failures = 0  # in a row


class Staff:
    """``members`` live, or have not been buried yet; it is replaced by a new list, never changed."""

    def __init__(self, plan: Plan, *, piped: bool) -> None:
        share, more = divmod(plan.max_tasks, plan.processes)
        budgets = [share + (number < more) for number in range(plan.processes)]
        self._plan = plan
        self._piped = piped
        self._seats = [Seat(budget) for budget in budgets if budget or not plan.max_tasks]
        self._memory_at = 0.0
        self.changes = Changes() if plan.reload else None
        self.members: list[Member] = []
        self.ever_ready = False  # any of them
        self.lost = 0  # ended by themselves
        self.hopeless = False  # they cannot start at all
        self.quiet = False  # they take no more tasks for now

    @property
    def wanted(self) -> bool:
        """Whether somebody is here, or will be."""
        return bool(self.members) or any(seat.start_at is not None for seat in self._seats)

    def hire(self) -> list[Member]:
        """A new process for each seat that is free and due."""
        now = time.monotonic()
        hired = []
        for seat in self._seats:
            if seat.start_at is not None and now >= seat.start_at:
                seat.start_at = None
                seat.member = Member(self._plan, budget=seat.budget, piped=self._piped, quiet=self.quiet)
                hired.append(seat.member)
        if hired:
            self.members = [*self.members, *hired]
        return hired

    def hush(self, quiet: bool) -> None:
        """All take no more tasks, or take them again; those that are still to come as well."""
        self.quiet = quiet
        for member in self.members:
            member.channel.send(messages.Quiet(quiet))

    def hire_no_more(self) -> None:
        """Who ends is not replaced any more."""
        for seat in self._seats:
            seat.start_at = seat.member = None

    def bury(self, member: Member) -> None:
        """It has ended."""
        self.members = [each for each in self.members if each is not member]
        for seat in self._seats:
            if seat.member is member:
                self._vacate(seat, member)

    def retire(self, member: Member, reason: str, *, told: bool = False) -> None:
        """It claims no more and ends after its tasks; its seat gets a new process now, or, where tasks are counted,
        when it has ended."""
        if member.leaving:
            return
        member.leave(reason)
        logger.info("process %d ends after its %d tasks: %s", member.pid, len(member.held), reason)
        if not told:
            member.channel.send(messages.Drain())
        for seat in self._seats:
            if seat.member is member and not self._plan.max_tasks:
                seat.member = None
                seat.start_at = time.monotonic()

    def inspect(self) -> None:
        """Memory, code that has changed, processes that hang."""
        for member in self.members:
            if stuck := member.overdue(self._plan.stop_seconds * 2):
                logger.error(
                    "process %d does not react, task %s (%s) is far over its time limit: killed",
                    member.pid, stuck.id, stuck.task,
                )  # fmt: skip
                member.kill(blamed=[stuck.claim])
            elif member.lingers(EXIT_SECONDS):
                member.kill()  # something that a task has left behind holds up its end
        now = time.monotonic()
        if self._plan.memory_mb and now >= self._memory_at:
            self._memory_at = now + MEMORY_EVERY
            for member in self.members:
                if not member.leaving and (taken := resident_mb(member.pid)) > self._plan.memory_mb:
                    self.retire(member, f"it takes {taken:.0f} MB, more than {self._plan.memory_mb}")
        if self.changes is not None and (name := self.changes.look()):
            self._reload(name)

    # -- inside

    def _vacate(self, seat: Seat, member: Member) -> None:
        seat.member = None
        if self._plan.max_tasks:
            seat.budget -= member.begun
        if member.cannot_start and not self.ever_ready:
            self.hopeless = True
            return
        by_itself = member.process.returncode == 0 and not member.leaving
        if (by_itself and self._plan.burst) or (self._plan.max_tasks and seat.budget <= 0):
            return  # done
        seat.failures = seat.failures + 1 if time.time() - member.since < SOON else 0
        pause = min(FIRST_PAUSE * 2 ** (seat.failures - 1), LONGEST_PAUSE) if seat.failures else 0.0
        if member.cannot_start and self.changes is not None:
            pause = LONGEST_PAUSE  # sooner when its code changes
        seat.start_at = time.monotonic() + pause
        if member.process.returncode != 0:
            self.lost += 1
            logger.error(
                "process %d %s with %d tasks, which are handed back; another one starts%s",
                member.pid, member.ending(), len(member.held), f" in {pause:g} s" if pause else "",
            )  # fmt: skip

    def _reload(self, name: str) -> None:
        logger.info("%s has changed", name)
        for seat in self._seats:
            seat.failures = 0
            if seat.member is not None:
                self.retire(seat.member, "its code has changed")
            elif seat.start_at is not None:
                seat.start_at = time.monotonic()
