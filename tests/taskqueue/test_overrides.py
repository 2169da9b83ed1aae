"""Options that travel with a job: what using() was given here comes back, and nothing else is ever looked up."""

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pytest_django import Settings

from messaging.errors import TaskUnknown, TaskUnreadable
from messaging.taskqueue import RedisTaskBackend, editing, task
from messaging.taskqueue.job import Failed, Job, NewJob, Retry, State, error_of, new_id
from messaging.taskqueue.overrides import overrides_of
from messaging.taskqueue.running import begin, refused, run
from messaging.taskqueue.seam import task_backends
from messaging.testing import run_tasks
from tests.servers import TestServer
from tests.taskqueue import jobs

WORKER = "outside:1:00000000"
CAREFUL, ADD = "tests.taskqueue.jobs.careful", "tests.taskqueue.jobs.add"


def customer_of(customer: str) -> str:
    """In another module than the task."""
    return customer.partition("@")[2]


def soon(error: BaseException, result: Any) -> float:
    return 1.5


@task
def other(customer: str) -> None:
    """One more task that the same functions would suit."""


class Busy(Exception):
    """An error of the site."""


@pytest.fixture
def ours(broker: TestServer, settings: Settings) -> RedisTaskBackend:
    settings.TASKS = {"default": {"BACKEND": "messaging.taskqueue.RedisTaskBackend", "QUEUES": []}}
    made: RedisTaskBackend = task_backends["default"]
    return made


def written(ours: RedisTaskBackend, task: str, args: list[Any], **options: Any) -> str:
    """A job by somebody who may write into Redis; its id."""
    job = NewJob(
        id=new_id("default"),
        body=msgspec.json.encode({"task": task, "args": args, "options": options}),
        task=task,
    )
    ours.queue("default").enqueue([job])
    return job.id


def died(ours: RedisTaskBackend, id: str) -> Job:
    """The dead letter that it has become."""
    queue = ours.queue("default")
    (claimed,) = queue.claim(WORKER, 1, lease_ms=60_000)
    queue.settle(WORKER, [Failed(claimed.id, claimed.token, error_of("builtins.ValueError", ""), "failed")])
    job = queue.get(id)
    assert job is not None
    assert job.state is State.DEAD
    return job


def copied(name: str, of: Any) -> Any:
    """What using() writes for an option of another task."""
    return overrides_of(of, None)[name]


UNSAFE = [
    ("order_key", {"path": "os.mkdir"}),
    ("order_key", {"path": "os.mkdir", "signature": "x"}),
    ("order_key", {"path": "os.mkdir", "signature": "x:\ud7ff"}),
    ("order_key", {"path": ["os.mkdir"], "signature": 5}),
    ("unique", {"path": "os.mkdir"}),
    ("backoff", {"path": "os.mkdir"}),
    ("backoff", {"path": "turtledemo.clock.main"}),
    ("retry_on", {"path": "builtins.OSError"}),
    ("retry_on", [{"path": "os.mkdir"}]),
    ("func", {"path": "os.mkdir"}),
    ("func", "os.mkdir"),
    ("takes_context", True),
    ("queue_name", "elsewhere"),
    ("retry_on", 5),
    ("timeout", "long"),
    ("timeout", {"days": 1e300}),
    ("order_key", copied("order_key", other.using(order_key=customer_of)) | {"path": "os.mkdir"}),
    ("order_key", copied("order_key", other.using(order_key=customer_of))),  # of another task
    ("order_key", copied("backoff", jobs.add.using(backoff=soon))),  # of another option
]


@pytest.mark.parametrize(("name", "value"), UNSAFE)
def test_nothing_is_called_because_its_name_is_in_redis(
    ours: RedisTaskBackend, name: str, value: Any, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    written_id = written(ours, ADD, [str(made)], **{name: value})
    ended = run_tasks()
    assert isinstance(ended[0].outcome, Failed)
    job = ours.queue("default").get(written_id)
    assert job is not None
    assert (job.state, job.reason) == (State.DEAD, "unreadable")
    assert "options of the job cannot be read" in job.errors[0]["traceback"]
    assert name in job.errors[0]["traceback"]
    with pytest.raises(TaskUnreadable, match=name):
        editing.requeue(ours, ours.queue("default"), job, [str(made)], {})
    with pytest.raises(TaskUnreadable, match=name):
        ours.get_result(written_id)
    assert not made.exists()
    assert ours.queue("default").counts().ready == 0
    assert "turtledemo.clock" not in sys.modules


def test_a_dead_letter_of_before_does_not_call_it_either(ours: RedisTaskBackend, tmp_path: Path) -> None:
    made = tmp_path / "made"
    written_id = written(ours, ADD, [str(made)], order_key={"path": "os.mkdir"})
    job = died(ours, written_id)
    with pytest.raises(TaskUnreadable, match=r"order_key: 'os\.mkdir' .* SECRET_KEY"):
        editing.requeue(ours, ours.queue("default"), job, [str(made)], {})
    assert not made.exists()


def test_functions_of_other_modules_come_back_and_are_asked_again_when_it_is_edited(
    ours: RedisTaskBackend,
) -> None:
    changed = jobs.careful.using(
        order_key=customer_of, unique=customer_of, backoff=soon, retry_on=(Busy, OSError), give_up_on=KeyError
    )
    result = changed.enqueue("eve@north")
    assert ours.get_result(result.id).task == changed
    job = died(ours, result.id)
    assert job.order_key == f"{CAREFUL}:north"
    new, is_new = editing.requeue(ours, ours.queue("default"), job, ["adam@south"], {})
    edited = ours.queue("default").get(new)
    assert is_new
    assert edited is not None
    assert edited.order_key == f"{CAREFUL}:south"
    assert ours.get_result(new).task == changed
    assert run_tasks()[0].return_value == "adam@south"


def test_the_worker_asks_what_using_was_given(ours: RedisTaskBackend) -> None:
    jobs.fail.using(backoff=soon, retry_on=LookupError).enqueue("KeyError")
    (claimed,) = ours.queue("default").claim(WORKER, 1, lease_ms=60_000)
    outcome = run(begin(ours, "default", claimed))
    assert isinstance(outcome, Retry)
    assert outcome.delay_ms == 1500


def test_a_secret_key_may_be_changed_as_django_has_it(ours: RedisTaskBackend, settings: Settings) -> None:
    changed = jobs.add.using(backoff=soon)
    result = changed.enqueue(1)
    settings.SECRET_KEY, old = "another", settings.SECRET_KEY
    with pytest.raises(TaskUnreadable, match=r"test_overrides\.soon' .* SECRET_KEY"):
        ours.get_result(result.id)
    settings.SECRET_KEY_FALLBACKS = [old]
    assert ours.get_result(result.id).task == changed


def test_what_another_release_has_is_waited_for(
    ours: RedisTaskBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = jobs.add.using(backoff=soon).enqueue(1)
    unheard = written(ours, ADD, [1], an_option_of_a_later_release=5)
    monkeypatch.delattr(sys.modules[__name__], "soon")
    (claimed, other) = ours.queue("default").claim(WORKER, 2, lease_ms=60_000)
    with pytest.raises(TaskUnknown, match="soon") as caught:
        begin(ours, "default", claimed)
    assert refused(claimed, caught.value).id == result.id
    with pytest.raises(TaskUnknown, match="cannot be imported here"):
        editing.edited(ours, "default", claimed, [1], {})
    assert begin(ours, "default", other).result.id == unheard
