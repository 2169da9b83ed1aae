"""Queue -> enqueue, claim and settle of 50 tasks that do nothing, to a plain LPUSH and BRPOP for each of them."""

from __future__ import annotations

import time
from statistics import median

import redis

from benchmarks.result import Result, alternate, ratio_of
from benchmarks.stage import Stage
from messaging.taskqueue.job import NewJob, Succeeded, new_id
from messaging.taskqueue.queue import Queue

BATCH = 50
WORKER = "bench:1:00000000"
BODY = b'{"args":[12345],"kwargs":{"currency":"EUR"}}'


def measure(stage: Stage) -> list[Result]:
    """Both on redis-py's own client, on one core with the server: tasks a second from their enqueue to their end. The
    plain way loses a task whose worker dies, and knows neither results nor retries nor priorities."""
    client = redis.Redis(unix_socket_path=str(stage.broker.socket), protocol=2)
    queue = Queue(client, "default", "bench")
    cpu: list[float] = []
    claimed: list[float] = []  # a second, without their enqueue

    def ours() -> float:
        jobs = [NewJob(id=new_id(queue.name), body=BODY, task="bench.tasks.nothing") for _ in range(BATCH)]
        before = _server_seconds(client)
        began = time.perf_counter()
        queue.enqueue(jobs)
        between = time.perf_counter()
        held = queue.claim(WORKER, BATCH, lease_ms=15_000)
        assert all(queue.settle(WORKER, [Succeeded(job.id, job.token) for job in held]))
        ended = time.perf_counter()
        assert len(held) == BATCH
        cpu.append((_server_seconds(client) - before) / BATCH * 1e6)
        claimed.append(BATCH / (ended - between))
        return BATCH / (ended - began)

    def plain() -> float:
        began = time.perf_counter()
        for _ in range(BATCH):
            client.lpush("plain", BODY)
            client.brpop(["plain"], timeout=5)
        return BATCH / (time.perf_counter() - began)

    alternate(ours, plain, rounds=10)
    cpu, claimed = [], []
    mine, theirs = alternate(ours, plain, rounds=100 if stage.quick else 400)
    client.delete("plain", *queue.keys)
    client.close()
    busy, rate = round(sum(cpu) / len(cpu), 1), round(median(claimed))
    return [
        Result(
            "queue_core",
            median(mine),
            median(theirs),
            "/s",
            ratio_of(mine, theirs),
            note=f"claim and settle alone {rate:,}/s; server's CPU {busy:g} us a task, all three",
            more={"claim_settle_per_second": rate, "server_cpu_us": busy},
        )
    ]


def _server_seconds(client: redis.Redis) -> float:
    used = client.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])
