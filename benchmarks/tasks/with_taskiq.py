"""taskiq -> a worker on a stream with acknowledgement and stored results, and a producer."""

from __future__ import annotations

import asyncio
import os
import time

from taskiq.serializers import ORJSONSerializer
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from benchmarks.tasks.stamps import stamping

URL = f"unix://{os.environ['BENCH_BROKER']}?db=0"

broker = (
    RedisStreamBroker(URL, xread_count=int(os.environ.get("XREAD_COUNT", "100")))
    .with_result_backend(RedisAsyncResultBackend(URL, result_ex_time=4 * 3600, serializer=ORJSONSerializer()))
    .with_serializer(ORJSONSerializer())
)
_stamp = stamping()


@broker.task
def nothing() -> None:
    _stamp()


@broker.task
async def anothing() -> None:
    _stamp()


def fill(count: int, task: str) -> float:
    """``count`` tasks, one at a time -> seconds."""
    return asyncio.run(_fill(count, anothing if task == "anothing" else nothing))


async def _fill(count: int, task) -> float:
    await broker.startup()
    await task.kiq()
    began = time.perf_counter()
    for _ in range(count - 1):
        await task.kiq()
    taken = time.perf_counter() - began
    await broker.shutdown()
    return taken
