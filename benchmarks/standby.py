"""A listener in charge -> the rate at which it stores, with another one that stands by, to its rate alone."""

from __future__ import annotations

import time
from statistics import median

import redis

from benchmarks.envelopes import messages
from benchmarks.listeners import IN_CHARGE, STANDING_BY, listener, wait_until_stored
from benchmarks.result import Result, alternate, ratio_of
from benchmarks.stage import Stage
from benchmarks.stored import empty
from messaging import publish_many


def measure(stage: Stage) -> list[Result]:
    """From the first publish until the last is stored: the relay is the slower one of the two."""
    count = 20_000 if stage.quick else 60_000
    batch = messages(count)
    client = redis.Redis(unix_socket_path=str(stage.broker.socket))

    def store() -> float:
        began = time.perf_counter()
        publish_many(batch)
        wait_until_stored(count, every=0.02)
        return count / (time.perf_counter() - began)

    def alone() -> float:
        client.flushall()
        empty("default")
        with listener(stage, IN_CHARGE):
            return store()

    def with_standby() -> float:
        client.flushall()
        empty("default")
        with listener(stage, IN_CHARGE), listener(stage, STANDING_BY):
            return store()

    mine, theirs = alternate(with_standby, alone, rounds=2 if stage.quick else 5)
    client.flushall()
    empty("default")
    client.close()
    return [Result("standby", median(mine), median(theirs), "rows/s", ratio_of(mine, theirs))]
