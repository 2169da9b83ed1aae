"""A listener that was away while a million messages were published -> its peak memory until it has caught up."""

from __future__ import annotations

import time

import redis

from benchmarks.envelopes import messages
from benchmarks.listeners import IN_CHARGE, is_linux, listener, memory_mb, wait_until_stored
from benchmarks.result import Result, not_measured
from benchmarks.stage import Stage
from benchmarks.stored import empty
from messaging import publish_many

MOST_MB = 200.0
CHUNK = 10_000


def measure(stage: Stage) -> list[Result]:
    """The whole process, as the system counts it."""
    if not is_linux():
        return [not_measured("catch_up", "this system does not tell the memory of a process")]
    count = 50_000 if stage.quick else 1_000_000
    client = redis.Redis(unix_socket_path=str(stage.broker.socket))
    client.flushall()
    empty("default")
    with listener(stage, IN_CHARGE) as process:
        idle = memory_mb(process)
    batch = messages(CHUNK)
    for _ in range(count // CHUNK):
        publish_many(batch)
    began = time.perf_counter()
    with listener(stage, IN_CHARGE) as process:
        wait_until_stored(count, every=0.5)
        took = time.perf_counter() - began
        peak = memory_mb(process, "VmHWM")
    client.flushall()
    empty("default")
    client.close()
    return [
        Result(
            "catch_up",
            peak,
            MOST_MB,
            "MB",
            peak / MOST_MB,
            note=f"{count:,} messages in {took:.0f} s, {count / took:,.0f} a second; idle it has {idle:.0f} MB",
            more={"messages": count, "seconds": round(took, 1), "idle_mb": round(idle, 1)},
        )
    ]
