"""Settings and Redis -> every queue of our backends, how each stands, and what keeps one from moving."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import msgspec

from messaging import connection
from messaging.conf import conf
from messaging.quantities import span
from messaging.taskqueue import queues as known_queues
from messaging.taskqueue.draining import takes_tasks
from messaging.taskqueue.job import Job, queue_of
from messaging.taskqueue.quantities import Counts, Paused, Period, WorkerSeen, quantile, together
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.worker.backends import aliases, backend_of

MAX_WAIT = 300.0  # seconds that a ready task may wait before it is a problem, unless somebody says otherwise
SECONDS = 5.0  # of silence, for people; producers have their own budget
RATE_MINUTES = 5
GROWING_MINUTES = 10
GROWING = 10  # so many new dead letters in so many minutes are a problem


SHARES = (0.5, 0.95, 0.99)
Quantiles = tuple[
    float | None, float | None, float | None
]  # milliseconds that these shares of the tasks stay under


class Standing(msgspec.Struct, kw_only=True):
    """A queue at one moment. Rates are tasks a minute, over the latest five."""

    backend: str
    queue: str
    counts: Counts
    paused: Paused | None
    workers: int  # processes that take from it, quiet ones aside, and were heard within a lease
    slots: int  # of these together, for all their queues
    busy: int  # of these
    entered: float
    ended: float  # for good, in any way
    dying: int  # of the dead letters that are there: those of the latest ten minutes
    wait_ms: Quantiles  # from due to begun, in the latest ten minutes
    run_ms: Quantiles  # of one attempt


def backends(only: str = "") -> list[str]:
    """The aliases of settings.TASKS whose backend is ours, or the one that is asked for; raises ``Misconfigured``."""
    return [backend_of(only).alias] if only else aliases()


def queue(alias: str, name: str, *, seconds: float = SECONDS) -> Queue:
    """A queue for whoever looks after it, with more patience than producers have."""
    return Queue(connection.client(timeout=seconds), alias, name)


def all_queues(only: str = "", *, seconds: float = SECONDS) -> list[Queue]:
    """Every queue that was ever used, or that settings name."""
    return [
        queue(alias, name, seconds=seconds)
        for alias in backends(only)
        for name in sorted({*known_queues.known(alias, seconds=seconds), *backend_of(alias).queues})
    ]


def find(id: str, only: str = "") -> tuple[Queue, Job] | None:
    """A task by its id, in whatever queue it is, of one backend or of all."""
    every = all_queues(only)
    told = queue_of(id, [each.name for each in every])
    for each in sorted(every, key=lambda each: each.name != told):
        if (job := each.get(id)) is not None:
            return each, job
    return None


def look(some: Sequence[Queue]) -> list[Standing]:
    """Each of them; raises :class:`~messaging.errors.BrokerError`."""
    return [_look(each) for each in some]


def _look(each: Queue) -> Standing:
    counts, minutes, seen = each.counts(), each.stats(GROWING_MINUTES + 1), each.workers()
    alive = [worker for worker in seen if is_alive(worker, counts.now_ms)]
    rated = minutes[-RATE_MINUTES - 1 :]
    elapsed = max((counts.now_ms - rated[0].at_ms) / 60_000, RATE_MINUTES)
    wait, run = together(each.wait for each in minutes), together(each.run for each in minutes)
    return Standing(
        backend=each.alias,
        queue=each.name,
        counts=counts,
        paused=each.paused(),
        workers=sum(takes_tasks(worker.facts) for worker in alive),
        slots=sum(number(worker.facts, "slots") for worker in alive),
        busy=sum(number(worker.facts, "busy") for worker in alive),
        entered=round(sum(map(entered, rated)) / elapsed, 2),
        ended=round(sum(map(ended, rated)) / elapsed, 2),
        dying=each.dead_since(counts.now_ms - GROWING_MINUTES * 60_000),
        wait_ms=quantiles(wait),
        run_ms=quantiles(run),
    )


def quantiles(histogram: Sequence[int]) -> Quantiles:
    """Of what a histogram counts."""
    half, most, nearly_all = (quantile(histogram, share) for share in SHARES)
    return half, most, nearly_all


def entered(period: Period) -> int:
    """How many tasks came to wait or run for the first time, or again out of the dead letters."""
    return period.counts["enqueued"] + period.counts["revived"]


def ended(period: Period) -> int:
    """How many left, for good or until somebody retries them."""
    return sum(period.counts[name] for name in ("succeeded", "dead", "cancelled", "expired"))


def is_alive(worker: WorkerSeen, now_ms: int) -> bool:
    """Whether it was heard within a lease; after that its tasks are taken from it."""
    return now_ms - worker.seen_ms <= conf.TASK_LEASE_SECONDS * 1000


def number(facts: Mapping[str, Any], name: str) -> int:
    """A number of what a worker says of itself."""
    value = facts.get(name)
    return value if isinstance(value, int) else 0


def fleet(some: Sequence[Queue]) -> tuple[dict[str, WorkerSeen], int]:
    """All workers of these queues by id, each as it was last heard, and the server's time. One that is silent has only
    those tasks that nobody has taken from it yet."""
    found: dict[str, WorkerSeen] = {}
    for each in some:
        for worker in each.workers():
            if worker.id not in found or found[worker.id].seen_ms < worker.seen_ms:
                found[worker.id] = worker
    now_ms = some[0].counts().now_ms if some else int(time.time() * 1000)
    silent = [each for each in found.values() if not is_alive(each, now_ms)]
    found |= {each.id: each for each in _holding(silent, some)}
    return dict(sorted(found.items())), now_ms


def _holding(silent: Sequence[WorkerSeen], some: Sequence[Queue]) -> Iterator[WorkerSeen]:
    said = [task for worker in silent for task in worker.facts.get("tasks", ())]
    owners: dict[str, str] = {}
    for each in some:
        owners |= each.owners([str(task.get("id")) for task in said if task.get("queue") == each.name])
    for worker in silent:
        tasks = [task for task in worker.facts.get("tasks", ()) if owners.get(task.get("id")) == worker.id]
        yield msgspec.structs.replace(worker, facts={**worker.facts, "tasks": tasks, "busy": len(tasks)})


class Problem(NamedTuple):
    """What keeps a queue's tasks from running."""

    kind: Literal["paused", "unattended", "slow", "dying"]
    backend: str
    queue: str
    text: str
    hint: str = ""  # the command that helps, or says more

    def __str__(self) -> str:
        return f"{self.text}: {self.hint}" if self.hint else self.text


def problems(standing: Standing, max_wait: float) -> Iterator[Problem]:
    """What keeps its tasks from running; ``max_wait`` in seconds."""
    counts, name = standing.counts, f"queue {standing.queue!r}"
    place = standing.backend, standing.queue
    waiting, waited = counts.ready + counts.due_now, counts.oldest_ready_ms
    if standing.paused is not None and waiting:
        text = f"{name} is paused {paused_words(standing.paused)}, and {counted(waiting)} in it"
        yield Problem("paused", *place, text)
        return
    if waiting and not standing.workers and waited > conf.TASK_LEASE_SECONDS * 1000:
        text = f"{counted(waiting)} in {name}, and no worker takes from it"
        yield Problem("unattended", *place, text, "run manage.py work")
    elif waited > max_wait * 1000:
        yield Problem("slow", *place, f"{name} has a task that has been waiting for {span(waited)}")
    if standing.dying >= GROWING:
        text = f"{name} has {standing.dying:,} new dead letters of the last {GROWING_MINUTES} minutes"
        yield Problem("dying", *place, text, f"see manage.py messaging dead list --queue {standing.queue}")


def counted(waiting: int) -> str:
    """1 task waits; 2 tasks wait."""
    return "1 task waits" if waiting == 1 else f"{waiting:,} tasks wait"


def paused_words(paused: Paused) -> str:
    """By whom, since when and why."""
    since = datetime.fromtimestamp(paused.since_ms / 1000, UTC).astimezone()
    return f"by {paused.by} since {since:%Y-%m-%d %H:%M}" + (f" ({paused.why})" if paused.why else "")


def named(name: str, backend: str = "") -> Queue:
    """The queue of that name; raises ``LookupError`` with a sentence if there is none, or if two backends have it."""
    found = [each for each in all_queues(backend) if each.name == name]
    if len(found) > 1:
        having = ", ".join(each.alias for each in found)
        raise LookupError(f"More than one backend has a queue {name!r}: say --backend, one of {having}.")
    if not found:
        known = ", ".join(sorted({each.name for each in all_queues(backend)})) or "none yet"
        raise LookupError(f"There is no queue {name!r}. Those that there are: {known}.")
    return found[0]
