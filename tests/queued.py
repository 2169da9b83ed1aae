"""Jobs in every state, as workers would leave them: for the tests of commands and pages."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import msgspec

from messaging.taskqueue.job import Claimed, Failed, NewJob, Retry, Succeeded, error_of, new_id
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.standing import queue

LEASE = 30_000
TASK = "tests.taskqueue.jobs.note"
_numbers = count(1)


def enqueue(
    number: int = 1, *, name: str = "mails", task: str = TASK, args: Sequence[Any] = (), **options: Any
) -> list[str]:
    """Their ids."""
    body = msgspec.json.encode({"task": task, "args": list(args), "kwargs": {"order_id": next(_numbers)}})
    jobs = [NewJob(id=new_id(name), body=body, task=task, **options) for _ in range(number)]
    queue("default", name).enqueue(jobs)
    return [job.id for job in jobs]


def claim(number: int = 1, *, name: str = "mails", worker: str = "host:1:abc") -> list[Claimed]:
    return queue("default", name).claim(worker, number, lease_ms=LEASE)


def kill(
    number: int = 1,
    *,
    name: str = "mails",
    task: str = TASK,
    error: str = "builtins.ValueError",
    traceback: str = "Traceback: no such thing",
    **more: Any,
) -> list[str]:
    """Dead letters, each behind one attempt that was retried."""
    ids = enqueue(number, name=name, task=task, priority=100, **more)
    q = queue("default", name)
    for last in (False, True):
        why = error_of(error, traceback)
        outcomes = [
            Failed(each.id, each.token, why, "failed 2 times") if last else Retry(each.id, each.token, why)
            for each in claim(number, name=name)
        ]
        q.settle("host:1:abc", outcomes)
    return ids


def succeed(number: int = 1, *, name: str = "mails", result: Any = None) -> list[str]:
    ids = enqueue(number, name=name, priority=100)
    encoded = msgspec.json.encode(result)
    outcomes = [Succeeded(each.id, each.token, encoded) for each in claim(number, name=name)]
    queue("default", name).settle("host:1:abc", outcomes)
    return ids


def beat(q: Queue, worker: str = "host:1:abc", **facts: Any) -> None:
    """A worker that is alive."""
    said = {"host": "host", "pid": 1, "slots": 10, "busy": 1, "state": "working", "queues": "default,mails"}
    tasks = [{"id": "x", "task": TASK, "queue": q.name, "since": 0}]
    q.beat(worker, said | {"begun": 5, "python": "3.13", "since": 0, "tasks": tasks} | facts)
