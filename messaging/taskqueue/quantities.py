"""What a queue may keep, and the numbers it gives: caps in, counts out. Plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec


class Caps(msgspec.Struct, frozen=True):
    """What a queue may keep. The oldest beyond it are dropped and counted (:class:`Counts`), never silently."""

    dead: int = 100_000  # dead letters
    dead_ms: int = 90 * 86400 * 1000
    dead_bytes: int = 256 * 1024 * 1024
    ended: int = 1_000_000  # jobs that succeeded; as many that were cancelled or expired
    ended_bytes: int = 256 * 1024 * 1024  # of all these together

    @property
    def of_ended(self) -> tuple[int, int]:
        return self.ended, self.ended_bytes

    @property
    def of_dead(self) -> tuple[int, int, int]:
        return self.dead, self.dead_ms, self.dead_bytes


CAPS = Caps()


class Swept(msgspec.Struct, frozen=True):
    """What one sweep did; all 0 when another one's turn is not over."""

    reclaimed: int = 0  # their lease ran out: ready again, or dead
    crashed_to_dead: int = 0  # of these: lost more than max_crashes workers
    expired: int = 0
    reconciled: int = 0  # were in no structure, or in the wrong one


class Counts(msgspec.Struct, frozen=True):
    """A queue at one moment."""

    now_ms: int = 0
    ready: int = 0  # claimable, and those that wait for a key
    waiting: int = 0  # of these: for their order or concurrency key
    running: int = 0
    delayed: int = 0
    due_now: int = 0  # of these: due, not promoted yet
    succeeded: int = 0
    dead: int = 0
    cancelled: int = 0
    expired: int = 0
    oldest_ready_ms: int = 0  # how long the oldest claimable job has waited
    next_due_ms: int | None = None  # when the next delayed job is due
    dead_bytes: int = 0
    ended_bytes: int = 0
    dead_dropped: int = 0  # dead letters given up at a cap, ever
    ended_dropped: int = 0  # results given up before their time, ever


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


class DeadGroup(msgspec.Struct, frozen=True):
    """Dead letters of one task that died of the same: an exception's class, or a reason such as "worker lost"."""

    task: str
    cause: str
    count: int


COUNTERS = (
    *("enqueued", "claimed", "succeeded", "retried", "dead", "cancelled", "expired", "released", "lost"),
    *("reclaimed", "reconciled", "revived", "discarded", "dropped"),
    "purged",  # of the discarded: those that waited
)
BUCKETS = 33  # of a histogram: bucket n counts what took less than 2**n milliseconds, and not less than half of that


class Period(msgspec.Struct, frozen=True):
    """What happened in a minute or an hour. ``wait`` and ``run`` are histograms of milliseconds, see ``BUCKETS``."""

    at_ms: int  # its start
    minutes: int
    counts: Mapping[str, int]
    wait: Sequence[int]
    run: Sequence[int]


def quantile(histogram: Sequence[int], share: float) -> float | None:
    """The milliseconds that ``share`` (0.5: half) of what a histogram counts stays under; ``None`` if it is empty.

    As exact as its buckets: within one it is assumed that all are spread evenly.
    """
    wanted = sum(histogram) * share
    if not wanted:
        return None
    below = 0
    for bucket, count in enumerate(histogram):
        if count and below + count >= wanted:
            low = 2.0 ** (bucket - 1) if bucket else 0.0
            return low + (2.0**bucket - low) * (wanted - below) / count
        below += count
    return 2.0 ** len(histogram)


def summed(periods: Sequence[Period], at_ms: int) -> Period:
    """Parts of a time that begins at ``at_ms`` -> one of an hour. They may be of the same hour."""
    counts = {name: sum(each.counts[name] for each in periods) for name in COUNTERS}
    wait, run = together(each.wait for each in periods), together(each.run for each in periods)
    return Period(at_ms, 60, counts, wait, run)


def together(histograms: Iterable[Sequence[int]]) -> list[int]:
    """Histograms of several periods -> one."""
    return [sum(counts) for counts in zip(*histograms, strict=True)] or [0] * BUCKETS
