"""Celery -> a worker that acknowledges after the task, and a producer."""

from __future__ import annotations

import os
import time

from celery import Celery

from benchmarks.tasks.stamps import stamping

URL = f"redis+socket://{os.environ['BENCH_BROKER']}"

app = Celery("bench", broker=URL, backend=f"{URL}?virtual_host=0")
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    result_expires=4 * 3600,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)
_stamp = stamping()


@app.task(name="nothing")
def nothing() -> None:
    _stamp()


def fill(count: int, task: str) -> float:
    """``count`` tasks, one at a time -> seconds."""
    nothing.delay()
    began = time.perf_counter()
    for _ in range(count - 1):
        nothing.delay()
    return time.perf_counter() - began
