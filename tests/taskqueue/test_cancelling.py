"""cancel(result, by=...): what waits ends, the worker of what runs is told, what has ended stays as it is."""

import asyncio
from collections.abc import Callable

import django
import pytest
from pytest_django import Settings

from messaging.errors import InvalidCall, TaskCancelled
from messaging.taskqueue import RedisTaskBackend, acancel, cancel
from messaging.taskqueue.job import Released
from messaging.taskqueue.seam import AnyResult, TaskResultStatus, task_backends
from tests.outside.inline import WORKER
from tests.servers import TestServer
from tests.taskqueue import jobs

DUMMY = f"{'django.tasks' if django.VERSION >= (6, 0) else 'django_tasks'}.backends.dummy.DummyBackend"

Cancel = Callable[[AnyResult], bool]


@pytest.fixture
def ours(broker: TestServer, settings: Settings) -> RedisTaskBackend:
    settings.TASKS = {"default": {"BACKEND": "messaging.taskqueue.RedisTaskBackend", "QUEUES": []}}
    made: RedisTaskBackend = task_backends["default"]
    return made


@pytest.fixture(params=["sync", "async"])
def cancelled(request: pytest.FixtureRequest) -> Cancel:
    if request.param == "sync":
        return lambda result: cancel(result, by="eve")
    return lambda result: asyncio.run(acancel(result, by="eve"))


def test_what_waits_ends(ours: RedisTaskBackend, cancelled: Cancel) -> None:
    result = jobs.add.using(queue_name="mail").enqueue(1)
    assert cancelled(result)
    result.refresh()
    assert result.status == TaskResultStatus.FAILED
    assert result.errors[0].exception_class is TaskCancelled
    assert result.errors[0].traceback == "eve"
    assert not cancelled(result)


def test_the_worker_of_what_runs_is_told(ours: RedisTaskBackend, cancelled: Cancel) -> None:
    result = jobs.add.enqueue(1)
    queue = ours.queue("default")
    (job,) = queue.claim(WORKER, 1, lease_ms=60_000)
    assert cancelled(ours.get_result(result.id))
    assert not cancelled(result), "it is being stopped already"
    result.refresh()
    assert result.status == TaskResultStatus.RUNNING
    queue.settle(WORKER, [Released(job.id, job.token)])
    result.refresh()
    assert result.errors[-1].exception_class is TaskCancelled


def test_one_of_another_backend_is_refused(settings: Settings) -> None:
    settings.TASKS = {"default": {"BACKEND": DUMMY}}
    with pytest.raises(InvalidCall, match="not a RedisTaskBackend"):
        cancel(jobs.about.enqueue(), by="eve")
