"""Jobs -> a queue in Redis -> workers: one script a step, each step whole or not at all.

Ready jobs stand in a ZSET scored by priority and sequence, running ones in a ZSET scored by the end of their lease,
all payloads in one hash. A stream with a consumer group was weighed and left: a stream for each of 201 priorities has
to be read in turn, entries that are claimed past a limit have to be put back, an entry that is acknowledged but not
deleted stays for ever, and a job's lease, owner and number of deliveries live in two places. Here a claim of 50 is one
ZPOPMIN, one HMGET and one HSET; order is exact, what a job is stands in one record, and whatever happens to the other
structures is put right from it (``lua/queue/sweep.lua``).

Every script names all its keys, and there are as many for a million jobs as for one. A write of somebody who does not
hold a job any more is refused by owner and token. Scripts that free memory run when Redis is out of memory.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import redis.asyncio as aioredis

from messaging import keys
from messaging.taskqueue import calls
from messaging.taskqueue.job import Claim, Claimed, Enqueued, Job, NewJob, Outcome
from messaging.taskqueue.operating import STATISTICS_HOURS, STATISTICS_MINUTES, Operated
from messaging.taskqueue.quantities import Swept
from messaging.taskqueue.scripting import Argument, script, translated

_SHORTEST_WAIT = 0.01  # seconds: Redis takes 0 for ever
_COARSE = 0.1  # seconds by which Redis may end a wait too late: a turn of its `hz`
_STEP = 0.01  # seconds between two looks, for the last of these
_CHUNK = 500


class Queue(Operated):
    """One queue of one backend alias. Safe to share between threads, as far as ``client`` is.

    Keep one for each queue and process: it remembers when the next delayed job is due. Every method raises a
    :class:`~messaging.errors.BrokerError` when Redis cannot do it.
    """

    _due_at: float | None = None  # time.monotonic() of the next delayed job, as the latest claim saw it

    # -- producers

    def enqueue(
        self, jobs: Sequence[NewJob], *, meanwhile: Callable[[], object] | None = None
    ) -> list[Enqueued]:
        """New jobs -> what became of each, in their order. An id that is there already stays as it is: an enqueue
        without an answer can be repeated. Up to 500 jobs and 4 MiB are entered whole or not at all. ``meanwhile`` is
        done while Redis works on the first of these."""
        self.register(self._call)
        results: list[Enqueued] = []
        for arguments in calls.new_jobs(jobs):
            results += calls.enqueued(arguments, self.run("enqueue", *arguments, meanwhile=meanwhile))
            meanwhile = None
        return results

    # -- workers

    def claim(self, worker: str, count: int, *, lease_ms: int) -> list[Claimed]:
        """Up to ``count`` ready jobs by priority, then first in, first out. Their attempt counts from here."""
        if count < 1:
            return []
        return self._taken(self.run("claim", calls.check_worker(worker), count, lease_ms))

    def _taken(self, reply: Sequence[Any]) -> list[Claimed]:
        jobs, due_ms = calls.claimed(reply)
        self._due_at = None if due_ms is None else time.monotonic() + due_ms / 1000
        return jobs

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds until a claim is worth while; then claim, since one waiting worker is woken
        at a time. It never blocks longer than the client's ``socket_timeout`` allows."""
        return wait_many((self,), timeout) is not None

    def renew(
        self, worker: str, held: Sequence[Claim], lease_ms: int
    ) -> dict[Claim, Literal["lost", "cancelled"]]:
        """Their leases end ``lease_ms`` from now. Answers those that are not ours any more ("lost"), and those that
        shall be stopped ("cancelled", whose lease is renewed all the same)."""
        said: dict[Claim, Literal["lost", "cancelled"]] = {}
        for start in range(0, len(held), _CHUNK):
            some = held[start : start + _CHUNK]
            reply = self.run("renew", worker, lease_ms, *(part for claim in some for part in claim))
            for place, why in zip(reply[::2], reply[1::2], strict=True):
                said[some[place]] = "cancelled" if why == b"cancelled" else "lost"
        return said

    def settle(self, worker: str, outcomes: Sequence[Outcome]) -> list[bool]:
        """Say how claimed jobs ended; ``False`` for each that was not ours any more and is as it was. One that shall be
        cancelled ends so, unless it has succeeded."""
        done: list[bool] = []
        caps = (*self.caps.of_ended, *self.caps.of_dead)
        for packed in calls.outcomes(outcomes):
            done += [bool(each) for each in self.run("settle", worker, *caps, packed)]
        return done

    def exchange(
        self, worker: str, outcomes: Sequence[Outcome], count: int, *, lease_ms: int
    ) -> tuple[list[bool], list[Claimed]]:
        """:meth:`settle` and :meth:`claim` in one step: the slots of what has ended may be filled again by it."""
        if count < 1 or not outcomes:
            return self.settle(worker, outcomes), self.claim(worker, count, lease_ms=lease_ms)
        done: list[bool] = []
        jobs: list[Claimed] = []
        caps = (*self.caps.of_ended, *self.caps.of_dead)
        for packed in calls.outcomes(outcomes):
            free = max(0, count - len(jobs))
            reply = self.run("exchange", calls.check_worker(worker), *caps, packed, free, lease_ms)
            done += [bool(each) for each in reply[0]]
            jobs += self._taken(reply[1])
        return done, jobs

    def claims_of(self, worker: str) -> list[Claim]:
        """What a worker holds, by the queue's knowledge: also what was claimed by a call whose reply was lost. It reads
        all that runs in this queue."""
        claims: list[Claim] = []
        cursor = b"0"
        while True:
            cursor, *found = self.run("claims_of", worker, cursor, _CHUNK)
            claims += [(name.decode(), token) for name, token in zip(found[::2], found[1::2], strict=True)]
            if cursor == b"0":
                return list(dict.fromkeys(claims))  # a scan may show one twice

    def release_worker(self, worker: str) -> list[str]:
        """A worker is known to be dead: what it held, ready again or dead, accounted as by :meth:`sweep`."""
        ids: list[str] = []
        cursor = b"0"
        while True:
            cursor, *found = self.run("release_worker", worker, cursor, *self.caps.of_dead, _CHUNK)
            ids += [name.decode() for name in found]
            if cursor == b"0":
                return ids

    def sweep(self, lease_ms: int) -> Swept:
        """Take back jobs whose lease ran out, promote what is due, end what has expired, drop what was kept for long,
        and put right what is not where it belongs, a part of all jobs at a time. Bounded; one sweeper every
        ``lease_ms / 4``, the others get an empty answer at once. After a pause of all sweeps that is longer than half a
        lease no lease counts as run out for another half of one: a server that stood still could not be told of
        renewals."""
        turn = max(lease_ms // 4, 1)
        caps = (*self.caps.of_ended, *self.caps.of_dead)
        return Swept(*self.run("sweep", turn, *caps, STATISTICS_MINUTES, STATISTICS_HOURS))

    def _until_due(self) -> float | None:
        return None if self._due_at is None else self._due_at - time.monotonic()


def wait_many(queues: Sequence[Queue], timeout: float) -> Queue | None:
    """Wait up to ``timeout`` seconds for the first queue that has something, by the client of the first one: claim from
    that queue. One connection for all of them; on Redis Cluster, where they lie in different slots, wait for each by
    itself."""
    client = queues[0].client
    pool = getattr(client, "connection_pool", None)  # a cluster's client has several
    given = None if pool is None else pool.connection_kwargs.get("socket_timeout")
    longest = 3600.0 if given is None else max(given * 0.8, given - 1)
    markers = {queue.key["marker"]: queue for queue in queues}
    deadline = time.monotonic() + timeout
    while True:
        left, next_due = deadline - time.monotonic(), math.inf
        for queue in queues:
            due = queue._until_due()
            if due is not None and due <= 0:
                queue._due_at = None  # until the claim that follows says more
                return queue
            next_due = next_due if due is None else min(next_due, due)
        with translated(f"queue {queues[0].name!r}"):
            if min(left, next_due) <= _COARSE:
                found = next((each for each in markers if client.execute_command("ZPOPMIN", each)), None)
            else:
                blocked = min(left, next_due - _COARSE, longest)
                reply = client.execute_command("BZPOPMIN", *markers, max(blocked, _SHORTEST_WAIT))
                found = reply[0].decode() if reply else None
        if found is not None:
            return markers[found]
        if left <= 0:
            return None
        if min(left, next_due) <= _COARSE:
            time.sleep(max(0.0, min(left, next_due, _STEP)))


class AsyncQueue:
    """What web processes need of a queue, for an event loop."""

    now: str | int = ""

    def __init__(self, client: aioredis.Redis, alias: str, name: str) -> None:
        self.client = client
        self.alias = alias
        self.name = name
        self.keys = keys.queue(alias, name)
        self.key = keys.parts(alias, name)
        self._registered = False

    async def _run(self, name: str, *arguments: Argument) -> object:
        with translated(f"queue {self.name!r}"):
            return await script(name).arun(self.client, self.keys, self.now, *arguments)

    async def register(self) -> None:
        """As :meth:`Queue.register`."""
        if not self._registered:
            with translated(f"queue {self.name!r}"):
                await self.client.execute_command("SADD", keys.queues(self.alias), self.name)
            self._registered = True

    async def enqueue(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        """As :meth:`Queue.enqueue`."""
        await self.register()
        results: list[Enqueued] = []
        for arguments in calls.new_jobs(jobs):
            results += calls.enqueued(arguments, await self._run("enqueue", *arguments))  # type: ignore[arg-type]
        return results

    async def get(self, id: str) -> Job | None:
        """As :meth:`Queue.get`."""
        return calls.found((id,), await self._run("get", id))[0]  # type: ignore[arg-type]

    async def cancel(self, id: str, by: str) -> bool:
        """As :meth:`Queue.cancel`."""
        return bool(await self._run("cancel", id, by))
