"""Queues and their workers' heartbeats, read together -> the queues where tasks wait and nobody takes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import redis

from messaging import keys
from messaging.conf import conf
from messaging.taskqueue.draining import takes_tasks
from messaging.taskqueue.standing import counted
from messaging.taskqueue.worker.backends import aliases, backend_of

MOST = 100  # queues that are looked at, and workers of each, so that a probe stays cheap


class Unattended(NamedTuple):
    """Tasks that may run now, in a queue that no worker takes from."""

    backend: str
    queue: str
    waiting: int

    def __str__(self) -> str:
        return f"{counted(self.waiting)} in queue {self.queue!r}, and no worker takes from it: run manage.py work"


def unattended(client: redis.Redis) -> list[Unattended]:
    """Those of the first ``MOST`` queues, where no worker was heard within a lease but for those that were told to take
    nothing; a few round trips, and no list is read whole. A paused queue is left out: it waits because somebody said
    so. Raises what redis-py raises."""
    places = {place: keys.parts(*place) for place in _places(client)}
    seconds, microseconds = client.time()
    now = seconds * 1000 + microseconds // 1000
    pipe: Any = client.pipeline(transaction=False)
    for key in places.values():
        pipe.zcard(key["ready"])
        pipe.zcount(key["due"], "-inf", now)
        pipe.hexists(key["ctl"], "paused")
        pipe.zrevrangebyscore(key["beats"], "+inf", now - conf.TASK_LEASE_SECONDS * 1000, start=0, num=MOST)
    told = iter(pipe.execute())
    waiting = {
        place: (ready + due, workers)
        for place, ready, due, paused, workers in zip(places, told, told, told, told, strict=True)
        if ready + due and not paused
    }
    for place, (_, workers) in waiting.items():
        pipe.hmget(places[place]["workers"], workers or [""])
    return [
        Unattended(*place, number)
        for (place, (number, _)), facts in zip(waiting.items(), pipe.execute(), strict=True)
        if not any(takes_tasks(msgspec.json.decode(each)) for each in facts if each is not None)
    ]


def _places(client: redis.Redis) -> Iterator[tuple[str, str]]:
    for alias in aliases():
        used: Any = client.smembers(keys.queues(alias))
        names = {name.decode() for name in used} | set(backend_of(alias).queues)
        yield from ((alias, name) for name in sorted(names)[:MOST])
