"""What the suite of django-tasks-rq asks of RQ, answered by our queues."""

import json
from types import SimpleNamespace
from typing import Any

from django.test import SimpleTestCase

from messaging.taskqueue import RedisTaskBackend
from messaging.taskqueue.job import NewJob, State, new_id
from messaging.taskqueue.seam import Task, task_backends
from tests.outside.inline import burst

RQBackend = RedisTaskBackend
Job = None
compat = SimpleNamespace(TASK_CLASSES=(Task,))


class RQTests(SimpleTestCase):
    """The two methods that touch RQ."""

    def setUp(self) -> None:
        super().setUp()
        task_backends["default"].queue("default").client.flushall()

    def run_worker(self) -> None:
        burst(task_backends["default"], "default", "queue-1")


class _Queue:
    def __init__(self, name: str) -> None:
        self._name = name
        self._queue = task_backends["default"].queue(name)

    @property
    def job_ids(self) -> list[str]:
        return [job.id for job in self._queue.page(State.READY)]

    def enqueue_call(self, path: str, args: Any) -> Any:
        body = json.dumps({"task": path, "args": args}).encode()
        return self._queue.enqueue([NewJob(id=new_id(self._name), body=body, task=path)])[0]


django_rq = SimpleNamespace(get_queue=lambda name, **_: _Queue(name))
