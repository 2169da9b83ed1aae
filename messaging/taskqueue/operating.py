"""What people and machines want to know of a queue, and change in it: calls -> counts, pages of jobs, bulk actions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
import redis

from messaging import keys
from messaging.errors import BrokerFull
from messaging.taskqueue import calls
from messaging.taskqueue.job import Job, State
from messaging.taskqueue.quantities import (
    BUCKETS,
    CAPS,
    COUNTERS,
    Caps,
    Counts,
    DeadGroup,
    Paused,
    Period,
    WorkerSeen,
    summed,
)
from messaging.taskqueue.scripting import Argument, Call, packed, script, told, translated

REGISTER_SECONDS = 60.0
STATISTICS_MINUTES = 24 * 60
STATISTICS_HOURS = 7 * 24  # after these minutes
STATS_PERIODS = 60  # of one call
HOUR_MS = 3600 * 1000
FORGET_WORKER_MS = 3600 * 1000
_paused = msgspec.msgpack.Decoder(Paused).decode

# Where the jobs of a state stand, and whether their order there is the order of a page.
_PLACES = {
    State.READY: (("ready", True), ("limited", True), ("ordered", True)),
    State.RUNNING: (("leases", True),),
    State.DELAYED: (("due", True),),
    State.SUCCEEDED: (("succeeded", False),),
    State.DEAD: (("dead", False),),
    State.CANCELLED: (("cancelled", False),),
    State.EXPIRED: (("expired", False),),
}


class Operated:
    """A queue as its operators see it; :class:`messaging.taskqueue.queue.Queue` adds what works on it."""

    now: str | int = ""  # what is taken for the time, in milliseconds; "" is the server's clock

    def __init__(
        self, client: redis.Redis, alias: str, name: str, *, caps: Caps = CAPS, call: Call | None = None
    ) -> None:
        self.client = client
        self._call = call  # a quicker way than the client's, to the same server
        self.alias = alias
        self.name = name
        self.caps = caps
        self.keys = keys.queue(alias, name)
        self.key = keys.parts(alias, name)
        self._registered = 0.0

    def __repr__(self) -> str:
        return f"<queue {self.name!r} of {self.alias!r}>"

    def run(self, name: str, *arguments: Argument, meanwhile: Callable[[], object] | None = None) -> Any:
        """One step: a script of ``lua/queue`` by its name. ``meanwhile`` is done while Redis works, if that can be."""
        with translated(f"queue {self.name!r}"):
            if self._call is None:
                if meanwhile is not None:
                    meanwhile()
                return script(name).run(self.client, self.keys, self.now, *arguments)
            call = self._call if meanwhile is None else partial(self._call, meanwhile=meanwhile)
            return script(name).run_over(call, self.client, self.keys, (self.now, *arguments))

    def register(self, call: Call | None = None) -> None:
        """See to it now and then that the alias knows this queue, even if Redis has forgotten everything."""
        if time.monotonic() - self._registered > REGISTER_SECONDS or not self._registered:
            with suppress(BrokerFull), translated(f"queue {self.name!r}"):
                if call is None:
                    self.client.sadd(keys.queues(self.alias), self.name)
                else:
                    told(call(packed(b"SADD", keys.queues(self.alias).encode(), self.name.encode())))
            self._registered = time.monotonic()

    # -- looking

    def get(self, id: str) -> Job | None:
        """A job by its id; ``None`` if there is none, or its time of keeping is over."""
        return self.get_many((id,))[0]

    def get_many(self, ids: Sequence[str]) -> list[Job | None]:
        """Jobs by their ids, in their order."""
        return calls.found(ids, self.run("get", *ids)) if ids else []

    def counts(self) -> Counts:
        """How many jobs are where. Its cost does not grow with their number."""
        now, ready, ordered, limited, running, delayed, due_now, *rest = self.run("counts")
        succeeded, dead, cancelled, expired, oldest, next_due, *sizes = rest
        return Counts(
            now_ms=now,
            ready=ready + ordered + limited,
            waiting=ordered + limited,
            running=running,
            delayed=delayed,
            due_now=due_now,
            succeeded=succeeded,
            dead=dead,
            cancelled=cancelled,
            expired=expired,
            oldest_ready_ms=oldest,
            next_due_ms=None if next_due < 0 else next_due,
            dead_bytes=sizes[0],
            dead_dropped=sizes[1],
            ended_dropped=sizes[2],
            ended_bytes=sizes[3],
        )

    def page(self, state: State, offset: int = 0, limit: int = 50, *, task: str = "") -> list[Job]:
        """Jobs of one state by position: ready ones in the order they will run (those that wait for a key at the end),
        running ones by the end of their lease, delayed ones by due, others newest first. ``task`` filters what stands
        on the page, which may then be short."""
        jobs = [job for job in self.get_many(self.ids(state, offset, limit)) if job is not None]
        return [job for job in jobs if job.state == state and (not task or job.task == task)]

    def ids(self, state: State, offset: int, limit: int) -> list[str]:
        """The ids of a page."""
        members: list[str] = []
        for part, ascending in _PLACES[state]:
            if (want := limit - len(members)) <= 0:
                break
            with translated(f"queue {self.name!r}"):
                command = "ZRANGE" if ascending else "ZREVRANGE"
                found = self.client.execute_command(command, self.key[part], offset, offset + want - 1)
                there = self.client.zcard(self.key[part]) if len(found) < want else offset + want
            members += [member.decode().rpartition("\0")[2] for member in found]
            offset = max(0, offset - there)
        if state is State.DELAYED:
            return [member.partition(":")[2] for member in members]
        return members

    def dead_before(self, at_ms: int, skip: int, count: int) -> list[tuple[int, Job | None]]:
        """Dead letters that died at ``at_ms`` or before, with that time, the newest first, without arguments and
        tracebacks. ``skip`` leaves out the first ones: those of the same millisecond that were seen already."""
        with translated(f"queue {self.name!r}"):
            found: list[Any] = self.client.zrevrangebyscore(
                self.key["dead"], at_ms, "-inf", skip, count, withscores=True
            )
            packed: list[Any] = (
                self.client.hmget(self.key["jobs"], [name for name, _ in found]) if found else []
            )
        return [(int(at), calls.brief(name, each)) for (name, at), each in zip(found, packed, strict=True)]

    def dead_since(self, at_ms: int) -> int:
        """How many of the dead letters that are there died then or later."""
        with translated(f"queue {self.name!r}"):
            return int(self.client.zcount(self.key["dead"], at_ms, "+inf"))

    def dead_groups(self) -> list[DeadGroup]:
        """Dead letters by task and cause, the largest group first. It costs as much as there are groups."""
        with translated(f"queue {self.name!r}"):
            found = self.client.hgetall(self.key["groups"])
        groups = []
        for group, count in found.items():
            task, _, cause = (group if isinstance(group, str) else group.decode()).partition("\0")
            groups.append(DeadGroup(task, cause, int(count)))
        return sorted(groups, key=lambda each: (-each.count, each.task, each.cause))

    def stats(self, minutes: int = 60) -> list[Period]:
        """Counters of the latest minutes, the oldest first; the last one is not over. A day of them is kept.
        An hour is asked for at a time: each is a few milliseconds of the server's time."""
        result: list[Period] = []
        now: str | int = self.now
        while len(result) < minutes:
            part = self._periods(now, min(minutes - len(result), STATS_PERIODS), 1)
            now = part[0].at_ms - 1
            result = [*part, *result]
        return result

    def hourly(self, hours: int) -> list[Period]:
        """The same of hours, for a week: minutes that are older than a day have been added up by :meth:`sweep`."""
        minutes = self.stats(STATISTICS_MINUTES + 60)
        parts: dict[int, list[Period]] = {}
        now: str | int = self.now
        wanted = hours
        while wanted > 0:
            part = self._periods(now, min(wanted, STATS_PERIODS), 60)
            now = part[0].at_ms - 1
            wanted -= len(part)
            parts |= {each.at_ms: [each] for each in part}
        for minute in minutes:
            parts.get(minute.at_ms - minute.at_ms % HOUR_MS, []).append(minute)
        return [summed(parts[at_ms], at_ms) for at_ms in sorted(parts)]

    def _periods(self, now: str | int, count: int, minutes: int) -> list[Period]:
        """``minutes``: 1 or 60."""
        histograms = [f"{name}:{bucket}" for name in ("wait", "run") for bucket in range(BUCKETS)]
        names = (*COUNTERS, *histograms)
        with translated(f"queue {self.name!r}"):
            latest, *numbers = script("stats").run(
                self.client, self.keys, now, count, "h:" if minutes == 60 else "", *names
            )
        found = []
        for back in range(count):
            row = numbers[back * len(names) : (back + 1) * len(names)]
            counts = dict(zip(COUNTERS, row, strict=False))
            at_ms = latest - (count - 1 - back) * minutes * 60_000
            found.append(Period(at_ms, minutes, counts, row[len(COUNTERS) : -BUCKETS], row[-BUCKETS:]))
        return found

    def beat(self, worker: str, facts: Mapping[str, Any]) -> None:
        """A worker lives, and this is what it has to say of itself. One that is silent for an hour is forgotten."""
        self.register()
        said = msgspec.json.encode(facts)
        self.run("beat", calls.check_worker(worker), said, FORGET_WORKER_MS)

    def gone(self, worker: str) -> None:
        """A worker has ended: it is not shown any more. What it holds is another matter (``release_worker``)."""
        with translated(f"queue {self.name!r}"):
            pipe = self.client.pipeline(transaction=True)
            pipe.hdel(self.key["workers"], worker)
            pipe.zrem(self.key["beats"], worker)
            pipe.execute()

    def workers(self) -> list[WorkerSeen]:
        """Workers that gave a sign of life within the hour, the latest first."""
        with translated(f"queue {self.name!r}"):
            pipe = self.client.pipeline(transaction=True)
            pipe.zrevrange(self.key["beats"], 0, 999, withscores=True)
            pipe.hgetall(self.key["workers"])
            beats, facts = pipe.execute()
        return [
            WorkerSeen(worker.decode(), int(ms), msgspec.json.decode(facts.get(worker, b"{}")))
            for worker, ms in beats
        ]

    def owners(self, ids: Sequence[str]) -> dict[str, str]:
        """Which workers hold these jobs now, without those that nobody holds."""
        with translated(f"queue {self.name!r}"):
            packed: list[Any] = self.client.hmget(self.key["jobs"], list(ids)) if ids else []
        jobs = [calls.brief(name.encode(), each) for name, each in zip(ids, packed, strict=True)]
        return {job.id: job.owner for job in jobs if job is not None and job.state is State.RUNNING}

    # -- changing

    def paused(self) -> Paused | None:
        """Who paused it, if it is paused."""
        with translated(f"queue {self.name!r}"):
            found = self.client.hget(self.key["ctl"], "paused")
        return None if found is None else _paused(found)  # type: ignore[arg-type]

    def pause(self, by: str, why: str = "") -> bool:
        """No claim finds anything until :meth:`resume`; what runs runs on. Was it running?"""
        return bool(self.run("pause", by, why))

    def resume(self, by: str) -> bool:
        """Undo :meth:`pause`. Was it paused?"""
        del by  # for symmetry: who did it stands in the log of whoever asks
        return bool(self.run("pause"))

    def cancel(self, id: str, by: str) -> bool:
        """End a job that waits; ask the worker of a running one to stop (:meth:`renew` says so). Did it change
        anything?"""
        return bool(self.run("cancel", id, by))

    def run_now(self, id: str) -> bool:
        """Make a delayed job ready; was it delayed?"""
        return bool(self.run("run_now", id))

    def discard(self, state: State, ids: Sequence[str]) -> list[bool]:
        """Remove jobs that are in this state, and do not run; ``False`` for each that is not."""
        return [bool(done) for done in self.run("discard", state, *ids)] if ids else []

    def purge(self, state: State, limit: int = 500) -> int:
        """Remove up to ``limit`` jobs of a state that does not run; how many. Call it until it says 0."""
        return sum(self.discard(state, self.ids(state, 0, limit)))

    def retry_dead(self, ids: Sequence[str], by: str) -> list[bool]:
        """Dead letters back to ready with fresh budgets, their history kept; ``False`` for each that is none, or whose
        unique lock another job holds."""
        return [bool(done) for done in self.run("retry_dead", by, *ids)] if ids else []

    def discard_dead(self, ids: Sequence[str], by: str) -> list[bool]:
        """Remove dead letters; ``False`` for each that is none."""
        del by  # as in resume()
        return self.discard(State.DEAD, ids)
