"""Dramatiq -> a worker with stored results, and a producer."""

from __future__ import annotations

import os
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.tasks.stamps import stamping

URL = f"unix://{os.environ['BENCH_BROKER']}?db=0"

broker = RedisBroker(url=URL)
broker.add_middleware(Results(backend=RedisBackend(url=URL)))
dramatiq.set_broker(broker)
_stamp = stamping()


@dramatiq.actor(store_results=True, result_ttl=4 * 3600 * 1000)
def nothing() -> None:
    _stamp()


def fill(count: int, task: str) -> float:
    """``count`` tasks, one at a time -> seconds."""
    nothing.send()
    began = time.perf_counter()
    for _ in range(count - 1):
        nothing.send()
    return time.perf_counter() - began
