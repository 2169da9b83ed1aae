"""A stage -> ``manage.py work`` as a contender, and what enqueueing costs. Imported once Django is set up."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.result import alternate, ratio_of
from benchmarks.stage import Stage
from benchmarks.tasks import noops
from benchmarks.tasks.contender import Contender, Ground, Setting, command
from benchmarks.tasks.stamps import VARIABLE
from messaging.taskqueue.batches import batches
from messaging.taskqueue.calls import new_jobs
from messaging.taskqueue.job import Job, State
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.scripting import script
from messaging.taskqueue.seam import TaskResultStatus
from tests.processes import Process, plain_environment

BLOCK = 25  # calls of one way before the other has its turn
PART = 500  # jobs that are looked at together


def ours(stage: Stage, ground: Ground) -> Contender:
    """One worker process, as ``manage.py work`` starts it, under the site's settings."""
    queue = _queue(ground)
    ids: list[str] = []
    settings = tuple(
        Setting(f"--concurrency {slots}", ("--concurrency", str(slots))) for slots in (100, 50, 10)
    )

    def fill(count: int, task: str) -> float:
        enqueue = getattr(noops, task).enqueue
        ids[:] = [enqueue().id]
        began = time.perf_counter()
        ids.extend([enqueue().id for _ in range(count - 1)])
        return time.perf_counter() - began

    def work(setting: Setting) -> Process:
        env = plain_environment(
            VAR_DIR=str(stage.directory),
            REDIS_URL=f"unix://{ground.broker}?db=0",
            LOG_LEVEL="WARNING",
            DJANGO_SETTINGS_MODULE="benchmarks.working_settings",
            **{VARIABLE: str(ground.stamps)},
        )
        arguments = ("manage.py", "work", "--processes", "1", *setting.arguments)
        return command(Path(sys.executable), *arguments, env=env)

    return Contender(
        "this",
        settings,
        "acknowledges after the task, under a lease; JSON, result in Redis; threads",
        True,
        fill,
        work,
        done=lambda count: queue.counts().succeeded >= count,
        wrong=lambda count: wrong(queue, ids, count),
    )


def wrong(queue: Queue, ids: list[str], count: int) -> str:
    """A queue that should have done all of these -> a sentence if it has not, each of them looked at."""
    if len(set(ids)) != count:
        return f"{len(set(ids)):,} ids of {count:,} tasks"
    counts = queue.counts()
    left = {
        name: getattr(counts, name)
        for name in ("ready", "running", "delayed", "dead", "cancelled", "expired")
    }
    if any(left.values()) or counts.succeeded != count or counts.ended_dropped:
        return f"it ended with {counts}"
    happened = {name: sum(each.counts.get(name, 0) for each in queue.stats()) for name in _HAPPENS + _NEVER}
    if any(happened[name] != count for name in _HAPPENS) or any(happened[name] for name in _NEVER):
        return f"the counters say {happened}"
    for start in range(0, count, PART):
        for job in queue.get_many(ids[start : start + PART]):
            if not _well(job):
                return f"one ended as {job}"
    last = noops.nothing.get_backend().get_result(ids[-1])
    return "" if last.status == TaskResultStatus.SUCCESSFUL else f"its result says {last.status}"


_HAPPENS = ("enqueued", "claimed", "succeeded")
_NEVER = ("retried", "dead", "cancelled", "expired", "released", "lost", "reclaimed", "reconciled", "dropped")


def _well(job: Job | None) -> bool:
    return job is not None and (job.state, job.attempt, job.result) == (State.SUCCEEDED, 1, b"null")


def enqueue_ratio(ground: Ground, *, rounds: int) -> float:
    """enqueue() to redis-py's evalsha() of the same script with the same arguments, made beforehand."""
    queue, client = _queue(ground), ground.client
    backend = noops.nothing.get_backend()
    sha = script("enqueue").sha.decode()
    noops.nothing.enqueue()  # the server knows the script from here on

    def plain() -> float:
        (batch,) = batches(backend, [(noops.nothing, (), {})] * BLOCK)
        ready = [next(new_jobs([job])) for job in batch.jobs]
        began = time.perf_counter()
        for arguments in ready:
            client.evalsha(sha, len(queue.keys), *queue.keys, "", *arguments)
        return (time.perf_counter() - began) / BLOCK

    def mine() -> float:
        enqueue = noops.nothing.enqueue
        began = time.perf_counter()
        for _ in range(BLOCK):
            enqueue()
        return (time.perf_counter() - began) / BLOCK

    alternate(mine, plain, rounds=4)
    ours, theirs = alternate(mine, plain, rounds=rounds)
    return ratio_of(theirs, ours)


def enqueue_many(ground: Ground, *, count: int, rounds: int) -> float:
    """Tasks a second."""
    rates = []
    for _ in range(rounds):
        ground.cleared()
        began = time.perf_counter()
        noops.nothing.enqueue_many([()] * count)
        rates.append(count / (time.perf_counter() - began))
    return median(rates)


def _queue(ground: Ground) -> Queue:
    return Queue(ground.client, noops.nothing.backend, noops.nothing.queue_name)
