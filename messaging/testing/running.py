"""The queues -> what a worker would do with their tasks, here and now, in the test's own thread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections

from messaging import connection, keys
from messaging.errors import TaskUnknown, TaskUnreadable
from messaging.models import PendingTask
from messaging.taskqueue import outbox
from messaging.taskqueue.job import Claimed, Failed, Job, Outcome, Released, Retry, State, Succeeded
from messaging.taskqueue.payloads import decode_body, decode_return
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.running import begin, refused, run
from messaging.taskqueue.seam import task_backends

WORKER = "test:0:00000000"
LEASE_MS = 60_000
MOST = 10_000  # tasks of one call: one that enqueues itself for ever ends there


@dataclass(frozen=True, slots=True)
class Ran:
    """A task that was run once."""

    id: str
    task: str  # import path
    args: list[Any]
    kwargs: dict[str, Any]
    outcome: Outcome | None

    @property
    def succeeded(self) -> bool:
        return isinstance(self.outcome, Succeeded)

    @property
    def return_value(self) -> Any:
        """What it returned; ``None`` if it failed."""
        return decode_return(self.outcome.result) if isinstance(self.outcome, Succeeded) else None

    @property
    def error(self) -> str:
        """The traceback of its failure; "" if it succeeded."""
        if isinstance(self.outcome, (Retry, Failed)) and self.outcome.error is not None:
            return self.outcome.error["traceback"]
        return ""


def run_tasks(*queues: str, backend: str = "default", delayed: bool = False, most: int = MOST) -> list[Ran]:
    """Run all tasks that are ready in these queues (default: all), and those that they enqueue, until none is left.

    ``delayed`` runs those as well that are due later, retries among them. What fails is not raised: look at ``error``.
    """
    _play_commits()
    ran: list[Ran] = []
    unknown: set[str] = set()  # put back for a release that knows them
    while len(ran) < most:
        before = len(ran)
        for queue in _queues(queues, backend):
            for job in queue.page(State.DELAYED, limit=500) if delayed else ():
                if job.id not in unknown:
                    queue.run_now(job.id)
            for claimed in queue.claim(WORKER, min(100, most - len(ran)), lease_ms=LEASE_MS):
                ran.append(_run(queue, backend, claimed))
                if isinstance(ran[-1].outcome, Released):
                    unknown.add(claimed.id)
        _play_commits()
        if len(ran) == before:
            return ran
    raise AssertionError(f"{most} tasks have run, and there are still more: does one enqueue itself?")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A task in a queue."""

    id: str
    task: str  # import path
    args: list[Any]
    kwargs: dict[str, Any]
    queue: str
    job: Job  # all that the queue knows of it


def waiting_tasks(*queues: str, backend: str = "default") -> list[Waiting]:
    """The tasks that are ready or delayed, in the order in which they will run."""
    _play_commits()
    return [
        Waiting(job.id, job.task, body.args, body.kwargs, queue.name, job)
        for queue in _queues(queues, backend)
        for state in (State.READY, State.DELAYED)
        for job in queue.page(state, limit=1000)
        for body in (decode_body(job.body),)
    ]


def _play_commits() -> None:
    """Inside a ``TestCase`` no transaction is ever committed: tasks that wait for that are sent now."""
    for using in outbox.databases():
        if connections[using].in_atomic_block:
            outbox.send_rows(PendingTask.objects.all(), using=using)


def _queues(names: Sequence[str], backend: str) -> list[Queue]:
    client = connection.client()
    known: Sequence[str] = names
    if not known:
        found: Iterable[bytes] = client.execute_command("SMEMBERS", keys.queues(backend))
        known = sorted(name.decode() for name in found)
    return [Queue(client, backend, name) for name in known]


def _run(queue: Queue, backend: str, claimed: Claimed) -> Ran:
    ours: Any = task_backends[backend]
    try:
        attempt = begin(ours, queue.name, claimed)
    except (TaskUnknown, TaskUnreadable) as error:
        back = refused(claimed, error)
        queue.settle(WORKER, [back])
        return Ran(claimed.id, claimed.task, [], {}, back)
    outcome = run(attempt)
    if outcome is not None:
        queue.settle(WORKER, [outcome])
    return Ran(claimed.id, claimed.task, attempt.result.args, attempt.result.kwargs, outcome)
