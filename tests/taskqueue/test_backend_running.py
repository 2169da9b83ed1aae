"""One attempt at one job: how it ends, when it runs again, what is noted of it."""

import asyncio
import logging
from typing import Any

import pytest
from pytest_django import Settings

from messaging.errors import (
    TaskCancelled,
    TaskExpired,
    TaskTimeout,
    TaskTooLarge,
    TaskUnknown,
    TaskUnreadable,
    WorkerLost,
)
from messaging.taskqueue import Exponential, RedisTaskBackend
from messaging.taskqueue.backoff import delay_of
from messaging.taskqueue.job import Claimed, Failed, NewJob, Released, Retry, Succeeded, new_id
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.running import Attempt, Stop, arun, begin, described, interrupted, refused, run
from messaging.taskqueue.seam import TaskResultStatus, task_backends
from tests.outside.inline import WORKER, burst
from tests.servers import TestServer
from tests.taskqueue import jobs


@pytest.fixture
def ours(broker: TestServer, settings: Settings) -> RedisTaskBackend:
    settings.TASKS = {"default": {"BACKEND": "messaging.taskqueue.RedisTaskBackend"}}
    made: RedisTaskBackend = task_backends["default"]
    return made


@pytest.fixture
def queue(ours: RedisTaskBackend) -> Queue:
    return ours.queue("default")


def claimed(queue: Queue) -> Claimed:
    (job,) = queue.claim(WORKER, 1, lease_ms=60_000)
    return job


def attempt(ours: RedisTaskBackend) -> Attempt:
    return begin(ours, "default", claimed(ours.queue("default")))


@pytest.mark.parametrize(
    ("call", "value"),
    [
        (lambda: jobs.add.enqueue(1, b=2), 3),
        (lambda: jobs.double.enqueue(4), 8),
        (lambda: jobs.about.enqueue(word="x"), None),
    ],
    ids=["function", "coroutine", "context"],
)
@pytest.mark.parametrize("in_a_loop", [False, True], ids=["thread", "loop"])
def test_what_succeeds(ours: RedisTaskBackend, call: Any, value: Any, in_a_loop: bool) -> None:
    result = call()
    each = attempt(ours)
    assert each.result.status == TaskResultStatus.RUNNING
    assert each.result.worker_ids == [WORKER]
    outcome = asyncio.run(arun(each)) if in_a_loop else run(each)
    assert isinstance(outcome, Succeeded)
    assert ours.queue("default").settle(WORKER, [outcome]) == [True]
    result.refresh()
    assert result.status == TaskResultStatus.SUCCESSFUL
    assert result.return_value == ([result.id, 1, "x"] if value is None else value)
    assert result.enqueued_at <= result.started_at == result.last_attempted_at <= result.finished_at


def test_it_fails_three_times_and_is_dead_with_three_tracebacks(
    ours: RedisTaskBackend, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    result = jobs.fail.enqueue()
    outcomes = []
    for expected in (TaskResultStatus.READY, TaskResultStatus.READY, TaskResultStatus.FAILED):
        each = attempt(ours)
        outcomes.append(run(each))
        assert each.result.status == expected
        queue.settle(WORKER, outcomes[-1:])  # type: ignore[arg-type]
        result.refresh()
        assert result.status == expected
    assert [type(each) for each in outcomes] == [Retry, Retry, Failed]
    assert [error.exception_class for error in result.errors] == [ValueError] * 3
    assert "raise {" in result.errors[0].traceback
    assert result.errors[0].traceback.endswith("ValueError: no such thing\n")
    assert result.attempts == 3
    said = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.name for record in said] == ["messaging.work", "messaging.work", said[2].name]
    assert said[2].name in ("django.tasks", "django_tasks")
    assert said[2].exc_info  # its traceback is in the log
    job = queue.get(result.id)
    assert job is not None
    assert job.reason == "failed 3 times"


@pytest.mark.parametrize(
    ("options", "how", "expected"),
    [
        ({}, "SystemExit", 0),
        ({}, "KeyboardInterrupt", 0),
        ({}, "GiveUp", "gave up"),
        ({}, "RetryAfter", 7000),
        ({"max_attempts": 1}, "RetryAfter", "failed"),
        ({"max_attempts": 1}, "ValueError", "failed"),
        ({"retry_on": LookupError}, "KeyError", 0),
        ({"retry_on": LookupError}, "ValueError", "does not retry on ValueError"),
        ({"retry_on": OSError}, "RetryAfter", 7000),
        ({"retry_on": LookupError, "give_up_on": (KeyError, OSError)}, "KeyError", "gives up on KeyError"),
        ({"backoff": 3.5}, "ValueError", 3500),
        ({"backoff": jobs.seven}, "LookupError", 7000 + 1000 + 4000),
        ({"backoff": Exponential(first=8)}, "ValueError", 4000),
        ({"backoff": jobs.broken}, "ValueError", 5000),
    ],
)
def test_whether_and_when_it_runs_again(
    ours: RedisTaskBackend, options: dict[str, Any], how: str, expected: int | str
) -> None:
    jobs.fail.using(**options).enqueue(how)
    each = attempt(ours)
    each.chance = lambda: 0.5
    outcome = run(each)
    if isinstance(expected, str):
        assert isinstance(outcome, Failed)
        assert outcome.reason == expected
    else:
        assert isinstance(outcome, Retry)
        assert outcome.delay_ms == expected
    assert outcome.error is not None
    assert outcome.error["class"].endswith(how)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.5, 500), (-3, 0), ("-inf", 0), (86400 * 365, 86400 * 365 * 1000)]
    + [(wild, 2000) for wild in (1e9, 1e16, 1e17, 10**400, "inf", "nan", "soon", None, True)],
)
def test_a_wild_number_of_seconds_is_not_waited_for(
    ours: RedisTaskBackend, queue: Queue, caplog: pytest.LogCaptureFixture, seconds: Any, expected: int
) -> None:
    jobs.again_after.enqueue(seconds)
    outcome = run(attempt(ours))
    assert isinstance(outcome, Retry)
    assert outcome.delay_ms == expected
    assert ("no number of seconds" in caplog.text) == (expected == 2000)
    assert queue.settle(WORKER, [outcome]) == [True]


def test_full_jitter_doubles_up_to_its_end() -> None:
    error, backoff = ValueError(), Exponential(first=10, most=60)
    longest = [delay_of(backoff, error, None, failures=n, chance=1.0) for n in (1, 2, 3, 4, 5, 10_000)]
    assert longest == [10, 20, 40, 60, 60, 60]
    assert delay_of(backoff, error, None, failures=3, chance=0.0) == 0


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("function", "Unsupported type: <class 'function'> at return value"),
        ("number", "nan at return value"),
        ("keys", "key 1 at return value"),
        ("long", "return values of tests.taskqueue.jobs.{} take 300,002 bytes"),
        ("broken", "OSError('the database is away')"),
    ],
)
@pytest.mark.parametrize("task", [jobs.give, jobs.agive], ids=["function", "coroutine"])
def test_a_value_that_cannot_be_kept_fails_what_ran_and_does_not_run_it_again(
    ours: RedisTaskBackend, queue: Queue, task: Any, kind: str, words: str
) -> None:
    jobs.ran.clear()
    result = task.enqueue(kind)
    each = attempt(ours)
    outcome = asyncio.run(arun(each)) if task is jobs.agive else run(each)
    assert outcome is not None
    assert queue.settle(WORKER, [outcome]) == [True]
    assert burst(ours, "default") == 0
    assert jobs.ran == [kind]
    result.refresh()
    assert result.status == TaskResultStatus.FAILED
    (error,) = result.errors
    assert error.exception_class is (TaskTooLarge if kind == "long" else TypeError)
    assert "Error: it ran; its return value cannot be kept: " in error.traceback.replace("TooLarge", "Error")
    assert words.format(task.name) in error.traceback
    job = queue.get(result.id)
    assert job is not None
    assert job.reason == "its return value cannot be kept"


@pytest.mark.parametrize("stop", [Stop.TIMEOUT, Stop.HAND_BACK])
def test_what_ran_is_not_run_again_for_being_told_to_stop(ours: RedisTaskBackend, stop: Stop) -> None:
    jobs.give.enqueue("number")
    each = attempt(ours)
    each.stop = stop
    outcome = run(each)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "its return value cannot be kept"


def test_a_long_traceback_keeps_its_end(ours: RedisTaskBackend) -> None:
    jobs.fail.enqueue("long")
    outcome = run(attempt(ours))
    assert isinstance(outcome, Retry)
    assert len(outcome.error["traceback"]) < 17_000
    assert outcome.error["traceback"].endswith("xxx\n")


def test_an_exception_may_say_what_it_likes() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert described(ValueError("half \udc80 pair"))["traceback"] == "ValueError: half \\udc80 pair\n"
    assert "Broken" in described(Broken())["traceback"]


def test_why_somebody_interrupts(ours: RedisTaskBackend) -> None:
    for _ in Stop:
        jobs.add.enqueue(1)
    by = {}
    for stop in Stop:
        each = attempt(ours)
        each.stop = stop
        by[stop] = interrupted(each)
    assert by[Stop.CANCELLED] is by[Stop.LOST] is None
    assert isinstance(by[Stop.HAND_BACK], Released)
    late = by[Stop.TIMEOUT]
    assert isinstance(late, Failed)
    assert late.error is not None
    assert late.error["class"] == f"{TaskTimeout.__module__}.{TaskTimeout.__qualname__}"


def test_the_line_of_a_retry_says_what_went_wrong(
    ours: RedisTaskBackend, caplog: pytest.LogCaptureFixture
) -> None:
    for how in ("lines", "KeyboardInterrupt", "long"):
        jobs.fail.enqueue(how)
        run(attempt(ours))
    lines, bare, long = (each.getMessage() for each in caplog.records if each.name == "messaging.work")
    assert lines.endswith("in attempt 1 of 3, again in 0.0 s: OSError: first \\x1b[31mred second")
    assert bare.endswith(": KeyboardInterrupt")
    assert long.endswith("xxx…")
    assert len(long) < 400


@pytest.mark.parametrize("in_a_loop", [False, True], ids=["thread", "loop"])
@pytest.mark.parametrize("attempts", [1, 2])
def test_the_log_says_that_it_took_too_long(
    ours: RedisTaskBackend, caplog: pytest.LogCaptureFixture, attempts: int, in_a_loop: bool
) -> None:
    """Not only by which exception it was told to stop."""
    jobs.stopped.using(timeout=2, max_attempts=attempts).enqueue()
    each = attempt(ours)
    each.stop = Stop.TIMEOUT
    outcome = asyncio.run(arun(each)) if in_a_loop else run(each)
    assert isinstance(outcome, (Failed, Retry))
    assert outcome.error is not None
    assert outcome.error["class"] == "messaging.errors.TaskTimeout"
    said = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 1
    if attempts == 2:
        assert said[0].getMessage().endswith(": messaging.errors.TaskTimeout: took longer than 2 s")
        return
    assert said[0].exc_info
    assert isinstance(said[0].exc_info[1], TaskTimeout)
    assert str(said[0].exc_info[1]) == "took longer than 2 s"
    assert isinstance(said[0].exc_info[1].__cause__, asyncio.CancelledError), "where it was is in the log too"


@pytest.mark.anyio
async def test_a_coroutine_that_is_cancelled(ours: RedisTaskBackend) -> None:
    hangs = asyncio.Event()

    async def hang(a: int) -> int:
        hangs.set()
        await asyncio.Event().wait()
        return a

    for stop in (Stop.HAND_BACK, None):
        await jobs.double.aenqueue(1)
        each = attempt(ours)
        object.__setattr__(each.result, "task", each.result.task.using())
        object.__setattr__(each.result.task, "func", hang)
        hangs.clear()
        running = asyncio.create_task(arun(each))
        await hangs.wait()
        each.stop = stop
        running.cancel()
        if stop is None:
            with pytest.raises(asyncio.CancelledError):
                await running
        else:
            assert isinstance(await running, Released)


@pytest.mark.parametrize(
    ("body", "kind", "outcome"),
    [
        (b'{"task": "of.another.release"}', TaskUnknown, Released),
        (b'{"task": "tests.taskqueue.jobs.gone"}', TaskUnknown, Released),
        (
            b'{"task": "tests.taskqueue.jobs.add", "options": {"backoff": {"path": "tests.taskqueue.jobs.seven"}}}',
            TaskUnreadable,
            Failed,
        ),
        (
            b'{"task": "tests.taskqueue.jobs.add", "options": {"timeout": {"weeks": "x"}}}',
            TaskUnreadable,
            Failed,
        ),
        (b'{"task": "subprocess.run", "args": [["true"]]}', TaskUnreadable, Failed),
        (b"not JSON", TaskUnreadable, Failed),
        (b'{"task": "tests.taskqueue.jobs.add", "args": {}}', TaskUnreadable, Failed),
    ],
)
def test_what_cannot_be_begun_waits_or_is_dead(
    ours: RedisTaskBackend, queue: Queue, body: bytes, kind: type[Exception], outcome: type
) -> None:
    queue.enqueue([NewJob(id=new_id("default"), body=body, task="x")])
    job = claimed(queue)
    with pytest.raises(kind) as caught:
        begin(ours, "default", job)
    said = refused(job, caught.value)  # type: ignore[arg-type]
    assert isinstance(said, outcome)
    assert queue.settle(WORKER, [said]) == [True]


def test_ends_that_no_code_raised_have_their_reason(ours: RedisTaskBackend, queue: Queue) -> None:
    lost, cancelled, expired = jobs.add.enqueue(1), jobs.add.enqueue(2), jobs.add.using(expires=0).enqueue(3)
    assert queue.cancel(cancelled.id, "eve")
    for _ in range(4):  # three lost workers are forgiven
        claimed(queue)
        queue.release_worker(WORKER)
    assert queue.claim(WORKER, 1, lease_ms=1000) == []
    for result, kind in ((lost, WorkerLost), (cancelled, TaskCancelled), (expired, TaskExpired)):
        result.refresh()
        assert result.status == TaskResultStatus.FAILED
        assert result.errors[-1].exception_class is kind
    assert lost.attempts == 4
    assert "eve" in cancelled.errors[-1].traceback
