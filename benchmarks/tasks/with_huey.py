"""huey -> a consumer that stores results, None among them, and a producer."""

from __future__ import annotations

import os
import time

from huey import RedisHuey

from benchmarks.tasks.stamps import stamping

huey = RedisHuey("bench", url=f"unix://{os.environ['BENCH_BROKER']}?db=0", store_none=True)
_stamp = stamping()


@huey.task()
def nothing() -> None:
    _stamp()


def fill(count: int, task: str) -> float:
    """``count`` tasks, one at a time -> seconds."""
    nothing()
    began = time.perf_counter()
    for _ in range(count - 1):
        nothing()
    return time.perf_counter() - began
