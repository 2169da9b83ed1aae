"""Jobs -> a queue in Redis -> workers: one script a step, each step whole or not at all.

Ready jobs stand in a ZSET scored by priority and sequence, running ones in a ZSET scored by the end of their lease.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
import redis
import redis.asyncio as aioredis

from messaging.taskqueue.job import Claimed, Enqueued, Job, NewJob, Outcome, State


class Caps(msgspec.Struct, frozen=True):
    """What a queue may keep. The oldest beyond it are dropped and counted (``Counts.dropped``), never silently."""

    dead: int = 100_000  # dead letters
    dead_ms: int = 90 * 86400 * 1000
    dead_bytes: int = 256 * 1024 * 1024
    ended: int = 1_000_000  # jobs that succeeded, expired or were cancelled
    ended_bytes: int = 256 * 1024 * 1024


CAPS = Caps()


class Swept(msgspec.Struct, frozen=True):
    """What one call of :meth:`Queue.sweep` did; all 0 when another one's turn is not over."""

    reclaimed: int = 0  # their lease ran out: ready again
    crashed_to_dead: int = 0  # lost more than max_crashes workers
    expired: int = 0
    reconciled: int = 0  # were in no structure, or in the wrong one


class Counts(msgspec.Struct, frozen=True):
    """A queue at one moment."""

    ready: int = 0  # claimable, and those that wait for a key
    waiting: int = 0  # of these: for their order or concurrency key
    running: int = 0
    delayed: int = 0
    due_now: int = 0  # of these: due, not promoted yet
    succeeded: int = 0
    dead: int = 0
    cancelled: int = 0
    expired: int = 0
    oldest_ready_ms: int = 0  # age of the oldest ready job, 0 without one
    next_due_ms: int | None = None  # from now
    dead_bytes: int = 0
    dropped: int = 0  # dead letters that were given up at a cap, ever
    now_ms: int = 0


class Paused(msgspec.Struct, frozen=True):
    """Who paused a queue, when and why."""

    by: str
    why: str
    since_ms: int


class WorkerSeen(msgspec.Struct, frozen=True):
    """A worker by its latest beat."""

    id: str
    seen_ms: int
    facts: Mapping[str, Any]


class Queue:
    """One queue of one backend alias. Safe to share between threads, as far as ``client`` is.

    Every method raises a :class:`~messaging.errors.BrokerError` when Redis cannot do it.
    """

    def __init__(self, client: redis.Redis, alias: str, name: str, *, caps: Caps = CAPS) -> None:
        self.client = client
        self.alias = alias
        self.name = name
        self.caps = caps

    # -- producers

    def enqueue(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        """New jobs -> what became of each, in their order. An id that is there already stays as it is."""
        raise NotImplementedError

    def get(self, id: str) -> Job | None:
        """A job by its id; ``None`` if there is none, or its time of keeping is over."""
        raise NotImplementedError

    def cancel(self, id: str, by: str) -> bool:
        """End a job that has not ended; its worker hears of it by :meth:`renew`. Did it change anything?"""
        raise NotImplementedError

    def run_now(self, id: str) -> bool:
        """Make a delayed job ready; was it delayed?"""
        raise NotImplementedError

    # -- workers

    def claim(self, worker: str, count: int, *, lease_ms: int) -> list[Claimed]:
        """Up to ``count`` ready jobs by priority, then first in, first out. Their attempt counts from here."""
        raise NotImplementedError

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds until a claim is worth while."""
        raise NotImplementedError

    def renew(
        self, worker: str, held: Sequence[tuple[str, int]], lease_ms: int
    ) -> dict[str, Literal["lost", "cancelled"]]:
        """(id, token) pairs: lengthen their leases; those that are not ours any more, and why."""
        raise NotImplementedError

    def settle(self, worker: str, outcomes: Sequence[Outcome]) -> list[bool]:
        """Say how claimed jobs ended; ``False`` for each that was not ours any more and is as it was."""
        raise NotImplementedError

    def release_worker(self, worker: str) -> list[str]:
        """A worker is known to be dead: what it held, ready again or dead, accounted as by :meth:`sweep`."""
        raise NotImplementedError

    def beat(self, worker: str, facts: Mapping[str, Any]) -> None:
        """A worker lives, and this is what it has to say of itself (JSON)."""
        raise NotImplementedError

    def sweep(self, lease_ms: int) -> Swept:
        """Take back jobs whose lease ran out, promote what is due, expire, reconcile. Bounded; one sweeper every
        ``lease_ms / 4``, the others get an empty answer at once."""
        raise NotImplementedError

    # -- operators

    def counts(self) -> Counts:
        """How many jobs are where."""
        raise NotImplementedError

    def paused(self) -> Paused | None:
        """Who paused it, if it is paused."""
        raise NotImplementedError

    def pause(self, by: str, why: str = "") -> None:
        """No claim finds anything until :meth:`resume`; what runs runs on."""
        raise NotImplementedError

    def resume(self, by: str) -> bool:
        """Was it paused?"""
        raise NotImplementedError

    def workers(self) -> list[WorkerSeen]:
        """Workers that gave a sign of life lately, the latest first."""
        raise NotImplementedError

    def page(self, state: State, offset: int = 0, limit: int = 50, *, task: str = "") -> list[Job]:
        """Jobs of one state by position: ready ones in the order they will run, delayed ones by due, others newest
        first. ``task`` filters within the page's span, so a page may be short."""
        raise NotImplementedError

    def purge(self, state: State, limit: int = 1000) -> int:
        """Remove up to ``limit`` jobs of a state but RUNNING, the oldest first; how many. Call again until 0."""
        raise NotImplementedError

    def retry_dead(self, ids: Sequence[str], by: str) -> list[bool]:
        """Dead letters back to ready with fresh budgets, their history kept."""
        raise NotImplementedError

    def discard_dead(self, ids: Sequence[str], by: str) -> list[bool]:
        """Remove dead letters."""
        raise NotImplementedError

    def stats(self, minutes: int = 60) -> list[dict[str, int]]:
        """Counters of each of the latest minutes, oldest first: ``{"minute": ms, "enqueued": n, ...}``."""
        raise NotImplementedError


def wait_many(queues: Sequence[Queue], timeout: float) -> Queue | None:
    """Wait up to ``timeout`` seconds for whichever queue has something first; ``None`` if none has. One connection for
    all of them; on Redis Cluster wait for each queue by itself."""
    raise NotImplementedError


class AsyncQueue:
    """What web processes need of a queue, for an event loop."""

    def __init__(self, client: aioredis.Redis, alias: str, name: str, *, caps: Caps = CAPS) -> None:
        self.client = client
        self.alias = alias
        self.name = name
        self.caps = caps

    async def enqueue(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        """As :meth:`Queue.enqueue`."""
        raise NotImplementedError

    async def get(self, id: str) -> Job | None:
        """As :meth:`Queue.get`."""
        raise NotImplementedError

    async def cancel(self, id: str, by: str) -> bool:
        """As :meth:`Queue.cancel`."""
        raise NotImplementedError
