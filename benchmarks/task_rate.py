"""manage.py work, one process -> its time for a task that does nothing, to redis-py's LPUSH and BRPOP of each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import redis

from benchmarks.result import Result, alternate, ratio_of
from benchmarks.stage import Stage
from messaging.taskqueue.queue import Queue
from tests.processes import Process as Started
from tests.processes import plain_environment, python

CONCURRENCY = 50
RAW = "benchmark:raw"
DEADLINE = 120.0


def measure_sync(stage: Stage) -> list[Result]:
    """Tasks in threads."""
    return [_measure("tasks_sync", "nothing", stage)]


def measure_async(stage: Stage) -> list[Result]:
    """Tasks on the event loop."""
    return [_measure("tasks_async", "anothing", stage)]


def _measure(figure: str, name: str, stage: Stage) -> Result:
    """Enqueued while the queue is paused; from its resumption until the last one is acknowledged."""
    from benchmarks import working_tasks  # its decorator asks the settings

    task = getattr(working_tasks, name)
    count = 2_000 if stage.quick else 10_000
    client = redis.Redis(unix_socket_path=str(stage.broker.socket))
    queue = Queue(client, "default", "default")

    def ours() -> float:
        queue.pause("benchmark")
        task.enqueue_many([()] * count)
        wanted = queue.counts().succeeded + count
        began = time.perf_counter()
        queue.resume("benchmark")
        while queue.counts().succeeded < wanted:
            if time.perf_counter() - began > DEADLINE:
                raise RuntimeError(f"{figure}: {queue.counts()}")
            time.sleep(0.002)
        return (time.perf_counter() - began) / count * 1e6

    def raw() -> float:
        began = time.perf_counter()
        for _ in range(count):
            client.lpush(RAW, b"{}")
            client.brpop([RAW], timeout=1)
        return (time.perf_counter() - began) / count * 1e6

    with _worker(stage):
        ours()  # the task is imported, the threads are there
        mine, theirs = alternate(ours, raw, rounds=2 if stage.quick else 7)
    client.close()
    note = f"{1e6 / median(mine):,.0f} tasks/s, each acknowledged; {CONCURRENCY} at once"
    return Result(figure, median(mine), median(theirs), "us/task", ratio_of(theirs, mine), note=note)


@contextmanager
def _worker(stage: Stage) -> Iterator[Any]:
    env = plain_environment(
        VAR_DIR=str(stage.directory),
        REDIS_URL=f"unix://{stage.broker.socket}?db=0",
        LOG_LEVEL="WARNING",
        DJANGO_SETTINGS_MODULE="benchmarks.working_settings",
    )
    worker = Started(python("manage.py", "work", "--concurrency", str(CONCURRENCY)), env=env)
    try:
        yield worker
    finally:
        worker.clean_up()
