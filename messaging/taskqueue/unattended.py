"""Queues and their workers' heartbeats, read together -> the queues where tasks wait and nobody takes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import redis

from messaging import keys
from messaging.conf import conf
from messaging.taskqueue.worker.backends import aliases, backend_of

MOST = 100  # queues that are looked at, so that a probe stays cheap


class Unattended(NamedTuple):
    """Tasks that may run now, in a queue that no worker was heard on within a lease."""

    backend: str
    queue: str
    waiting: int

    def __str__(self) -> str:
        tasks = "1 task waits" if self.waiting == 1 else f"{self.waiting:,} tasks wait"
        return f"{tasks} in queue {self.queue!r}, and no worker takes from it: run manage.py work"


def unattended(client: redis.Redis) -> list[Unattended]:
    """Those of the first ``MOST`` queues; two round trips, and no list is read whole. A paused queue is left out: it
    waits because somebody said so. Raises what redis-py raises."""
    places = list(_places(client))
    if not places:
        return []
    pipe: Any = client.pipeline(transaction=False)
    for alias, name in places:
        key = dict(zip((part for part, _ in keys.QUEUE), keys.queue(alias, name), strict=True))
        pipe.zcard(key["ready"])
        pipe.zrevrange(key["beats"], 0, 0, withscores=True)
        pipe.hexists(key["ctl"], "paused")
    seconds, microseconds = client.time()
    heard_since = seconds * 1000 + microseconds // 1000 - conf.TASK_LEASE_SECONDS * 1000
    told = iter(pipe.execute())
    return [
        Unattended(alias, name, ready)
        for (alias, name), ready, beats, paused in zip(places, told, told, told, strict=True)
        if ready and not paused and not (beats and beats[0][1] >= heard_since)
    ]


def _places(client: redis.Redis) -> Iterator[tuple[str, str]]:
    for alias in aliases():
        used: Any = client.smembers(keys.queues(alias))
        names = {name.decode() for name in used} | set(backend_of(alias).queues)
        yield from ((alias, name) for name in sorted(names)[:MOST])
