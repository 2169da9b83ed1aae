"""What a job is: new, as it is stored, as a worker holds it, and how it can end. Plain data -> plain data, no I/O.

                       ┌────────── released, worker lost ─────────┐
                       ▼                                          │
    enqueue ──▶ ready ──────────────── claim ──────────────▶ running ──▶ succeeded
       │          ▲ │                                           │ │
       └▶ delayed ┘ └▶ expired, cancelled     delayed ◀─ retry ─┘ └▶ dead (and from there back to ready), cancelled

All times are milliseconds since 1970 by the server's clock.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import TypedDict

import msgspec

if sys.version_info >= (3, 14):
    from uuid import uuid7
else:
    from uuid_utils import uuid7

MAX_ID = 63  # characters: Django wants a task result's id shorter than 64
MAX_WORKER = 64
PRIORITIES = range(-100, 101)
KEEP_MS = 4 * 3600 * 1000
KEEP_FAILED_MS = 7 * 86400 * 1000
_PLAIN_NAME = 30  # characters of a queue's name that fit into an id beside the UUID


class State(StrEnum):
    """Where a job is. ``READY`` includes those that wait for their order, limit or rate key."""

    READY = "ready"
    RUNNING = "running"
    DELAYED = "delayed"  # due later: the first time, or between retries
    SUCCEEDED = "succeeded"
    DEAD = "dead"
    CANCELLED = "cancelled"
    EXPIRED = "expired"  # not begun in time


class NewJob(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is asked for. ``body`` is JSON, which the queue does not look into."""

    id: str  # of new_id(), or any other text of at most 63 characters that is unique in the queue
    body: bytes
    task: str  # import path, for lists
    priority: int = 0  # -100 .. 100, larger first
    due_ms: int = 0  # not before; 0 or past: now
    max_attempts: int = 1  # the worker compares it; the queue only keeps it
    max_crashes: int = 3  # lost workers that are forgiven
    unique: str = ""  # digest: only one job at a time holds it
    unique_ms: int = 0  # 0: until the job ends; else for so long from now on, ended or not
    limit_key: str = ""
    limit: int = 0  # most jobs of this limit_key that run at once
    rate_key: str = ""
    rate_us: int = 0  # microseconds from one job of this rate_key to the next, when none is in arrears
    burst: int = 0  # of them may begin at once after a pause
    expires_ms: int = 0  # not begun by then: ends as EXPIRED; 0: never
    timeout_ms: int = 0  # for the worker; 0: none
    keep_ms: int = KEEP_MS  # how long a success is kept; 0: not at all
    keep_failed_ms: int = KEEP_FAILED_MS  # how long a cancelled or expired one is kept
    order_key: str = ""  # jobs of one key run one at a time, in the order of their enqueue


JobError = TypedDict("JobError", {"class": str, "traceback": str, "at": int})
"""Why an attempt failed: the path of the exception's class, and when. The server sets ``at``."""


class Attempt(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One time that a worker held the job. ``outcome`` is "" while it does."""

    worker: str
    began_ms: int
    ended_ms: int | None = None
    outcome: str = ""  # succeeded | retried | failed | released | lost | cancelled


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a job."""

    id: str = ""
    state: State
    task: str
    body: bytes = b""
    priority: int = 0
    enqueued_ms: int = 0
    due_ms: int = 0
    started_ms: int = 0  # its first attempt began; 0: never
    last_ms: int = 0  # its latest attempt began
    finished_ms: int = 0
    attempt: int = 0  # times it was claimed and not handed back
    token: int = 0  # of the latest claim: a write that names another one is refused
    owner: str = ""  # worker id while running, and the last one in a dead letter
    crashes: int = 0  # workers that were lost with it
    forgiven: int = 0  # of its attempts: those that max_attempts does not count
    max_attempts: int = 0
    max_crashes: int = 0
    unique: str = ""
    unique_ms: int = 0
    limit_key: str = ""
    limit: int = 0
    rate_key: str = ""
    rate_us: int = 0
    burst: int = 0
    expires_ms: int = 0
    timeout_ms: int = 0
    keep_ms: int = 0
    keep_failed_ms: int = 0
    order_key: str = ""
    parked: str = (
        ""  # ready, but behind another one of its key ("order"), no room ("limit"), too soon ("rate")
    )
    reason: str = ""  # why it is dead; who cancelled it
    cause: str = msgspec.field(
        default="", name="group"
    )  # of a dead one: the exception's class, or the reason
    cancelled_by: str = ""  # somebody wants a running job to stop
    retried_by: str = ""  # who took it out of the dead letters
    attempts: tuple[Attempt, ...] = ()  # the newest 100
    errors: tuple[JobError, ...] = ()  # the newest 10
    result: bytes | None = None  # JSON

    @property
    def tries(self) -> int:
        """Attempts to be compared with ``max_attempts``: without lost workers and what was before a retry by hand."""
        return self.attempt - self.forgiven

    @property
    def workers(self) -> list[str]:
        """Worker ids, one for each attempt that counts."""
        return [each.worker for each in self.attempts if each.outcome != "released"]


Claim = tuple[str, int]
"""One time that a job was claimed: its id and token, which stand in every later word about it. A worker that was away
for longer than a lease may claim a job that it still runs: then it has two claims of one id, the older one lost."""


class Claimed(Job, frozen=True, kw_only=True):
    """A job that is ours until its lease ends."""

    @property
    def claim(self) -> Claim:
        """What tells this claim from all others of the queue."""
        return self.id, self.token


class Succeeded(msgspec.Struct, frozen=True, gc=False):
    """It returned ``result`` (JSON)."""

    id: str
    token: int
    result: bytes = b"null"


class Retry(msgspec.Struct, frozen=True):
    """It failed and shall run again in ``delay_ms``."""

    id: str
    token: int
    error: JobError
    delay_ms: int = 0


class Failed(msgspec.Struct, frozen=True):
    """It failed for good: to the dead letters."""

    id: str
    token: int
    error: JobError | None
    reason: str


class Released(msgspec.Struct, frozen=True, gc=False):
    """Handed back unfinished; the attempt does not count."""

    id: str
    token: int
    delay_ms: int = 0


Outcome = Succeeded | Retry | Failed | Released


class Enqueued(msgspec.Struct, frozen=True, gc=False):
    """What became of a new job. Not new: ``id`` is the one that is there already, or that holds the unique lock."""

    id: str
    is_new: bool
    at_ms: int  # when that one was enqueued


def new_id(queue: str) -> str:
    """A fresh id that tells its queue: ``<queue>.<UUIDv7 in hexadecimal>``. Ids of one process grow with time."""
    return f"{code_of(queue)}.{uuid7().hex}"


@lru_cache(maxsize=1024)
def code_of(queue: str) -> str:
    """What stands for a queue in ids: its name, or a digest of a name that is long or has a dot."""
    if len(queue) <= _PLAIN_NAME and "." not in queue:
        return queue
    return "~" + sha256(queue.encode()).hexdigest()[:20]


def queue_of(id: str, known_queues: Iterable[str]) -> str | None:
    """The queue that an id of :func:`new_id` names, out of the known ones; ``None`` if it names none."""
    code, dot, _ = id.rpartition(".")
    if not dot:
        return None
    return next((queue for queue in known_queues if code_of(queue) == code), None)


def error_of(class_path: str, traceback: str) -> JobError:
    """What :class:`Retry` and :class:`Failed` want."""
    return {"class": class_path, "traceback": traceback, "at": 0}
