"""A claimed job -> its end: what one slot of a process holds."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from messaging.taskqueue import running
from messaging.taskqueue.job import Claimed, Outcome, Released
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.running import Attempt, Stop

if TYPE_CHECKING:
    from messaging.taskqueue.worker.threads import Runner


class TaskStopped(BaseException):
    """Nobody waits for this task any more. No ``except Exception`` of the task keeps it alive."""


class Held:
    """One claimed job in this process, from the claim to the acknowledgement."""

    __slots__ = (
        "asked_at",
        "attempt",
        "deadline",
        "ended",
        "given_up",
        "job",
        "older",
        "outcome",
        "queue",
        "runner",
        "since",
        "started",
        "task",
    )

    def __init__(self, queue: Queue, job: Claimed) -> None:
        self.queue = queue
        self.job = job
        self.attempt: Attempt | None = None  # None: it cannot be begun, and `outcome` says what becomes of it
        self.outcome: Outcome | None = None  # None at the end: nothing to settle, it is not ours any more
        self.started = self.ended = False
        self.given_up = False  # it does not end, and holds a thread or the loop for ever
        self.older: Held | None = (
            None  # an attempt at the same job that still runs here: this one waits for its end
        )
        self.since = time.monotonic()
        self.deadline: float | None = None
        self.asked_at = 0.0  # when its task was last told to stop
        self.runner: Runner | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def stop(self) -> Stop | None:
        """Why it is being stopped."""
        return self.attempt.stop if self.attempt else None

    def run(self) -> None:
        """In a thread of its own."""
        if self.stop is not None:
            self.interrupted()
        elif self.attempt is not None:
            self.outcome = running.run(self.attempt)

    async def arun(self) -> None:
        """On the event loop."""
        if self.stop is not None:
            self.interrupted()
        elif self.attempt is not None:
            self.outcome = await running.arun(self.attempt)

    def settled(self) -> Outcome | None:
        """What to tell the queue. One that was cancelled is ended by any word of its worker; a lost one is not ours."""
        if self.outcome is None and self.stop is Stop.CANCELLED:
            return Released(self.job.id, self.job.token)
        return self.outcome

    def interrupted(self) -> None:
        """Its task did not come to an end of its own."""
        if self.attempt is not None and self.outcome is None:
            self.outcome = running.interrupted(self.attempt)
