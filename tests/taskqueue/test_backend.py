"""Django Tasks on our queues: what is enqueued is what comes back, in every process; what cannot be is refused."""

import asyncio
import dataclasses
import math
import types
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import SuspiciousOperation
from django.utils import timezone
from pytest_django import Settings

from messaging.errors import (
    BrokerUnavailable,
    InvalidCall,
    InvalidOption,
    Misconfigured,
    TaskTooLarge,
    UnsupportedValue,
)
from messaging.taskqueue import Exponential, RedisTaskBackend, aenqueue_many, backend, enqueue_many, task
from messaging.taskqueue.job import NewJob, State, new_id
from messaging.taskqueue.seam import (
    InvalidTask,
    TaskResultDoesNotExist,
    TaskResultStatus,
    task_backends,
    task_enqueued,
    task_finished,
    task_started,
)
from tests.outside.inline import burst
from tests.servers import TestServer
from tests.taskqueue import jobs

BACKEND = "messaging.taskqueue.RedisTaskBackend"
LONG_NAME = "a queue whose name is rather long.and has a dot"


@pytest.fixture
def ours(broker: TestServer, settings: Settings) -> RedisTaskBackend:
    """The default backend, of two, on an empty server."""
    settings.TASKS = {
        "default": {"BACKEND": BACKEND, "QUEUES": ["default", "mail", LONG_NAME]},
        "other": {"BACKEND": BACKEND, "QUEUES": []},
    }
    jobs.ran.clear()
    made: RedisTaskBackend = task_backends["default"]
    return made


SOON = datetime(2126, 5, 17, 3, 4, 5, 678_901, tzinfo=UTC)


@pytest.mark.parametrize(
    "call",
    [
        lambda: (jobs.add, (1,), {"b": 2}),
        lambda: (jobs.double, [3], {}),
        lambda: (jobs.add.using(priority=-7, queue_name="mail", run_after=SOON), ((1, 2), b"text"), {}),
        lambda: (jobs.add.using(queue_name=LONG_NAME), ({"a": [None, 1.5, 2**70]},), {}),
        lambda: (jobs.careful, ("eve",), {}),
        lambda: (
            jobs.careful.using(
                max_attempts=9,
                backoff=jobs.seven,
                retry_on=(LookupError, OSError),
                timeout=timedelta(minutes=1),
                expires=SOON,
                limit_key="shared",
            ),
            ("eve",),
            {},
        ),
        lambda: (
            jobs.add.using(backoff=Exponential(first=3), expires=600.5, run_after=timedelta(hours=1)),
            (1,),
            {},
        ),
    ],
    ids=["plain", "async", "using", "long-name", "options", "other-options", "spans"],
)
def test_what_enqueue_returns_is_what_any_process_gets(ours: RedisTaskBackend, call: Any) -> None:
    task, args, kwargs = call()
    result = task.enqueue(*args, **kwargs)
    assert result.status == TaskResultStatus.READY
    assert result.attempts == 0
    assert len(result.id) < 64
    fresh = RedisTaskBackend("default", {"QUEUES": ["default"]})
    assert fresh.get_result(result.id) == result
    assert task.get_result(result.id) == result
    before = dataclasses.asdict(result)
    result.refresh()
    assert dataclasses.asdict(result) == before


@pytest.mark.anyio
async def test_coroutines_do_the_same_without_a_thread(
    ours: RedisTaskBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "sync_to_async", None)
    result = await jobs.careful.using(queue_name=LONG_NAME).aenqueue("adam")
    assert await ours.aget_result(result.id) == result
    many = await aenqueue_many([(jobs.add, (n,), {}) for n in range(3)])
    assert [await ours.aget_result(each.id) for each in many] == many
    for unknown in ("123", "", "default.1", "~abc.1", 5):
        with pytest.raises(TaskResultDoesNotExist):
            await ours.aget_result(unknown)  # type: ignore[arg-type]


@pytest.mark.parametrize("span", [30, 30.5, timedelta(seconds=30), 0, -30, timedelta(seconds=-30)])
@pytest.mark.parametrize("use_tz", [True, False])
def test_it_runs_after_so_many_seconds(
    ours: RedisTaskBackend, settings: Settings, span: float | timedelta, use_tz: bool
) -> None:
    settings.USE_TZ = use_tz
    before = timezone.now()
    result = jobs.add.using(run_after=span).enqueue(1)
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    assert 0 <= (result.task.run_after - before).total_seconds() - seconds < 5
    assert ours.get_result(result.id) == result
    job = ours.queue("default").get(result.id)
    assert job is not None
    if seconds:  # 0: due in this millisecond, which may not be over
        assert job.state is (State.DELAYED if seconds > 0 else State.READY)


@pytest.mark.parametrize(
    "wild",
    [True, math.nan, math.inf, "30", "tomorrow", SOON.date(), 10**400, 1e12, timedelta.max, timedelta.min],
)
def test_what_is_no_time_to_run_after_is_refused_with_a_sentence(ours: RedisTaskBackend, wild: Any) -> None:
    with pytest.raises(InvalidOption, match="task 'add': run_after is a datetime, or a number of") as caught:
        jobs.add.using(run_after=wild)
    assert isinstance(caught.value, InvalidTask)


def test_naive_times_where_a_site_wants_them(ours: RedisTaskBackend, settings: Settings) -> None:
    settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Tokyo"
    result = jobs.add.using(run_after=datetime(2126, 5, 17, 3, 4, 5, 6)).enqueue(1)  # noqa: DTZ001
    assert ours.get_result(result.id) == result
    job = ours.queue("default").get(result.id)
    assert job is not None
    assert job.due_ms == int(datetime(2126, 5, 16, 18, 4, 5, 1000, tzinfo=UTC).timestamp() * 1000)


def test_an_id_that_is_nobodys(ours: RedisTaskBackend) -> None:
    other = task_backends["other"].enqueue(jobs.add.using(backend="other"), [1], {})
    for unknown in ("123", "", "default.1", "{}.x", "~abc.1", other.id, 5):
        with pytest.raises(TaskResultDoesNotExist):
            ours.get_result(unknown)  # type: ignore[arg-type]
    assert task_backends["other"].get_result(other.id) == other


def test_queues_that_no_setting_names(ours: RedisTaskBackend) -> None:
    other = task_backends["other"]
    result = jobs.add.using(backend="other", queue_name=LONG_NAME).enqueue(1)
    assert result.id.startswith("~")
    assert other.get_result(result.id) == result
    assert asyncio.run(other.aget_result(result.id)) == result
    with pytest.raises(InvalidTask, match="without braces"):
        jobs.add.using(backend="other", queue_name="{a}")


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("subprocess.check_output", SuspiciousOperation),
        ("tests.taskqueue.jobs.not_a_task", SuspiciousOperation),
        ("no.such.module", ImportError),
        ("tests.taskqueue.jobs.gone", ImportError),
    ],
)
def test_a_job_that_names_no_task(ours: RedisTaskBackend, path: str, error: type[Exception]) -> None:
    job = NewJob(id=new_id("default"), body=b'{"task": "%b"}' % path.encode(), task=path)
    ours.queue("default").enqueue([job])
    with pytest.raises(error, match=path if error is SuspiciousOperation else None):
        ours.get_result(job.id)


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ({1: 2}, r"key 1 at args\[0\]"),
        ([{"a": object()}], r"Unsupported type: <class 'object'> at args\[0\]\[0\]\['a'\]"),
        (datetime.now(UTC), r"Unsupported type.*; pass str\(\) of it, or a key to look it up by$"),
        (
            Decimal("9.90"),
            r"<class 'decimal.Decimal'> at args\[0\]: Decimal\('9.90'\); pass str\(\) of it, or a key",
        ),
        ({"id": uuid4()}, r"<class 'uuid.UUID'> at args\[0\]\['id'\].*; pass str\(\) of it, or a key"),
        ({1, 2}, r"Unsupported type: <class 'set'>.*; pass list\(\) of it$"),
        (print, "Unsupported type.*; pass a key to look it up by$"),
        (math.nan, r"nan at args\[0\]"),
        (b"\xff", "UTF-8"),
        ("\ud800", "JSON form"),
        (10**5000, "JSON form"),
    ],
    ids=["key", "object", "time", "price", "uuid", "set", "function", "nan", "bytes", "surrogate", "digits"],
)
def test_an_argument_that_would_come_back_as_something_else(
    ours: RedisTaskBackend, argument: Any, named: str
) -> None:
    with pytest.raises(UnsupportedValue, match=named) as caught:
        enqueue_many([(jobs.note, (0,), {}), (jobs.note, (argument,), {})])
    assert isinstance(caught.value, TypeError)
    assert ours.queue("default").counts().ready == 0  # not even the first


def test_nesting_and_size_have_an_end(ours: RedisTaskBackend) -> None:
    deep: list[Any] = []
    for _ in range(600):
        deep = [deep]
    with pytest.raises(UnsupportedValue, match="500 levels"):
        jobs.note.enqueue(deep)
    with pytest.raises(TaskTooLarge, match=r"262,144; the largest part is kwargs\['b'\]: 'xxx") as caught:
        jobs.add.enqueue(1, b="x" * 300_000)
    assert caught.value.limit == 262_144


@pytest.mark.parametrize(
    "options",
    [
        {"max_attempts": 0},
        {"max_attempts": 1.5},
        {"backoff": -1},
        {"backoff": "often"},
        {"timeout": -1},
        {"retry_on": "ValueError"},
        {"give_up_on": (ValueError, 3)},
        {"unique": "yes"},
        {"unique_for": -1},
        {"expires": "tomorrow"},
        {"limit": 0},
        {"limit_key": 5},
        {"order_key": 5},
        {"keep_results": None, "keep_failed": -2},
        {"outbox": ""},
        {"priority": 101},
        {"queue_name": "unheard of"},
        {"run_after": datetime(2026, 1, 1)},  # noqa: DTZ001
    ],
)
def test_an_option_that_cannot_work_is_refused_where_it_is_set(
    ours: RedisTaskBackend, options: dict[str, Any]
) -> None:
    with pytest.raises(InvalidTask) as caught:
        jobs.add.using(**options)
    if isinstance(caught.value, InvalidOption):
        assert next(reversed(options)) in str(caught.value)


def test_options_that_fail_for_these_arguments(ours: RedisTaskBackend) -> None:
    with pytest.raises(InvalidOption, match=r"unique: .*TypeError"):
        jobs.even_or_odd.enqueue("text")  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="limit_key wants a limit"):
        jobs.add.using(limit_key="x").enqueue(1)
    with pytest.raises(InvalidOption, match="can be imported by its name"):
        jobs.add.using(backoff=lambda error, result: 1).enqueue(1)
    with pytest.raises(TypeError, match="no option 'tries'"):
        jobs.add.using(tries=3)  # type: ignore[call-arg]
    with pytest.raises(InvalidCall):
        jobs.add.enqueue_many([5])  # type: ignore[list-item]


def test_what_the_queue_is_told(ours: RedisTaskBackend) -> None:
    result = jobs.careful.using(expires=60).enqueue("eve")
    job = ours.queue("default").get(result.id)
    assert job is not None
    assert (job.max_attempts, job.timeout_ms, job.keep_ms, job.keep_failed_ms) == (4, 30_000, 60_000, 120_000)
    assert (job.limit, job.limit_key, job.order_key) == (2, "tests.taskqueue.jobs.careful:eve", "orders")
    assert 55_000 < job.expires_ms - job.enqueued_ms < 65_000
    shared = ours.queue("default").get(jobs.careful.using(limit_key="x" * 500).enqueue("eve").id)
    assert shared is not None
    assert len(shared.limit_key) < 100


def test_unique_ones_are_the_one_that_is_there(ours: RedisTaskBackend) -> None:
    first, again, other = jobs.once.enqueue(1), jobs.once.enqueue(number=1), jobs.once.enqueue(2)
    assert again != first  # other arguments, though the function would not tell them apart
    assert jobs.once.enqueue(1) == first
    assert jobs.once.using(run_after=SOON).enqueue(1).id == first.id
    assert len({first.id, again.id, other.id}) == 3
    assert burst(ours, "default") == 3
    assert jobs.once.enqueue(1).id != first.id
    odd = jobs.even_or_odd.enqueue(1)
    burst(ours, "default")
    assert jobs.even_or_odd.enqueue(3, more=5).id == odd.id  # for an hour
    assert jobs.even_or_odd.enqueue(2).id != odd.id


def test_by_priority_then_in_order_and_not_before_its_time(ours: RedisTaskBackend) -> None:
    for priority in (0, -100, 100, 7, 0, -1, 99):
        jobs.note.using(priority=priority).enqueue(priority)
    jobs.note.using(run_after=timezone.now() - timedelta(days=1)).enqueue("past is now")
    jobs.note.using(run_after=SOON, priority=100).enqueue("never seen")
    assert burst(ours, "default") == 8
    assert jobs.ran == [100, 99, 7, 0, 0, "past is now", -1, -100]


def test_many_in_one_go_keep_their_order(ours: RedisTaskBackend) -> None:
    calls = [(jobs.note.using(queue_name=("mail", "default")[n % 2]), (n,), {}) for n in range(1200)]
    calls.append((jobs.note.using(backend="other"), ("other",), {}))
    results = enqueue_many(calls)
    assert [each.args[0] for each in results] == [*range(1200), "other"]
    assert ours.get_result(results[1199].id) == results[1199]
    assert ours.queue("mail").counts().ready == 600
    assert [each.args for each in jobs.add.enqueue_many([(1,), {"a": 2}])] == [[1], []]


def test_signals_have_our_class_as_sender_and_cannot_break_anything(ours: RedisTaskBackend) -> None:
    heard: list[tuple[str, str]] = []

    def receiver(signal: Any, sender: Any, task_result: Any, **_: Any) -> None:
        assert sender is RedisTaskBackend
        heard.append((names[signal], task_result.status))
        raise RuntimeError("a receiver of somebody")

    names = {task_enqueued: "enqueued", task_started: "started", task_finished: "finished"}
    for signal in names:
        signal.connect(receiver)
    try:
        jobs.add.enqueue(1)
        jobs.once.enqueue(1)
        jobs.once.enqueue(1)  # nothing new
        jobs.fail.enqueue()
        assert burst(ours, "default") == 5
    finally:
        for signal in names:
            signal.disconnect(receiver)
    assert [each for each in heard if each[0] == "enqueued"] == [("enqueued", "READY")] * 3
    assert [status for name, status in heard if name == "finished"] == ["SUCCESSFUL", "SUCCESSFUL", "FAILED"]
    assert [each for each in heard if each[0] == "started"] == [("started", "RUNNING")] * 5


def test_a_redis_that_is_away_is_said_so_at_once(settings: Settings) -> None:
    settings.TASKS = {"default": {"BACKEND": BACKEND}}
    made = task_backends["default"]  # asks nobody
    for call in (lambda: jobs.add.enqueue(1), lambda: made.get_result("default.1")):
        with pytest.raises(BrokerUnavailable):
            call()


def test_what_is_in_the_queues_when_redis_fails_on_the_way(
    ours: RedisTaskBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(name: str) -> Any:
        if name == "mail":
            raise BrokerUnavailable("gone")
        return RedisTaskBackend.queue(ours, name)

    monkeypatch.setattr(ours, "queue", dies)
    with pytest.raises(BrokerUnavailable) as caught:
        ours.enqueue_many([(jobs.add, (1,), {}), (jobs.add.using(queue_name="mail"), (2,), {})])
    assert [each.args for each in caught.value.enqueued] == [[1]]


def test_both_frameworks_in_one_process(ours: RedisTaskBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    import django_tasks

    made: Any = django_tasks.task(priority=3)(jobs.add.func)
    monkeypatch.setattr(jobs, "add", made)
    result = made.enqueue(1, b=2)
    assert ours.get_result(result.id) == result
    burst(ours, "default")
    result.refresh()
    assert result.return_value == 3


@pytest.mark.parametrize(
    ("params", "ids"),
    [
        ({"OPTIONS": {"MAX_ATTEMPTS": 5, "BACKOFF": Exponential(), "ENQUEUE_ON_COMMIT": "default"}}, []),
        ({"OPTIONS": {"MAX_ATEMPTS": 5}}, ["messaging.E101"]),
        ({"OPTIONS": {"TIMEOUT": "long", "KEEP_RESULTS": -1, "MAX_CRASHES": 0}}, ["messaging.E101"] * 2),
        ({"OPTIONS": ["MAX_ATTEMPTS"]}, ["messaging.E101"]),
        ({"OPTIONS": {"ENQUEUE_ON_COMMIT": "elsewhere"}}, ["messaging.E102"]),
        ({"QUEUES": ["a{b}", ""]}, ["messaging.E103"] * 2),
    ],
)
def test_checks_name_what_is_wrong(params: dict[str, Any], ids: list[str]) -> None:
    made = RedisTaskBackend("default", params)
    assert [each.id for each in made.check()] == ids
    if "messaging.E101" in ids and isinstance(made.options, dict):
        with pytest.raises(Misconfigured, match="OPTIONS"):
            _ = made.defaults


def test_the_outbox_needs_the_app(settings: Settings) -> None:
    settings.INSTALLED_APPS = []
    made = RedisTaskBackend("default", {"OPTIONS": {"ENQUEUE_ON_COMMIT": True}})
    assert [each.id for each in made.check()] == ["messaging.E104"]


def test_ours_takes_what_djangos_decorator_takes(ours: RedisTaskBackend) -> None:
    assert task(jobs.add.func) == jobs.add
    made: Any = types.new_class("made")
    with pytest.raises(InvalidTask, match="module level"):
        task(made)
    assert ours.queue("default").page(State.READY) == []
