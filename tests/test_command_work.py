"""`manage.py work` in a terminal: what it says, what it refuses. What it does with tasks: tests/taskqueue."""

import json
import socket
import time
from pathlib import Path

import httpx
import pytest
from pytest_django import Settings

from messaging import keys
from messaging.management.commands.work import ClockWanted
from messaging.taskqueue import standing
from messaging.taskqueue.seam import BaseTaskBackend
from messaging.taskqueue.worker.plan import Choice
from messaging.taskqueue.worker.supervisor import Report
from tests.commands import run
from tests.conftest import Manage
from tests.queued import enqueue
from tests.servers import TestServer
from tests.shells import shell
from tests.waiting import eventually

OURS = "messaging.taskqueue.RedisTaskBackend"


def test_a_person_and_a_probe_see_what_it_does(manage: Manage, broker: TestServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        at = f"127.0.0.1:{free.getsockname()[1]}"
    worker = manage(
        "work", "--concurrency", "3", "--probe", at, tty=True, env={"TERM": "xterm", "COLUMNS": "90"}
    )
    worker.wait_for(
        "Working on default of unix://.*, 1 process, 3 tasks at once in each; Ctrl-C drains and ends"
    )
    worker.wait_for(r"0 done \(0/s\), 0 of 3 running, working")
    with httpx.Client(base_url=f"http://{at}", trust_env=False, timeout=30) as client:

        def ready() -> tuple[int, list[str]]:
            reply = client.get("/readyz")
            return reply.status_code, reply.json()["reasons"]

        assert ready() == (200, [])
        assert client.head("/readyz").status_code == 200
        assert client.get("/else").status_code == 404
        redis = broker.client()
        redis.config_set("min-replicas-to-write", 1)

        def refused() -> bool:
            status, reasons = ready()
            assert status == 503
            assert "Redis refuses (NOREPLICAS)" in reasons, reasons
            return True

        eventually(refused)
        redis.config_set("min-replicas-to-write", 0)
        eventually(lambda: ready() == (200, []))
        for each in redis.client_list():
            if "b" in each["flags"]:  # waits for a task
                redis.client_unblock(each["id"], error=True)
        (called,) = enqueue(name="default")  # with an argument that it does not take: it ends all the same
        queue = standing.queue("default", "default")
        eventually(lambda: queue.counts().dead)
        assert queue.get(called) is not None
        broker.stop()
        try:
            eventually(lambda: ready()[0] == 503 and "Redis" in ready()[1][0])
            assert client.get("/healthz").json()["healthy"], "a restart would not help"
        finally:
            broker.start()
        eventually(lambda: ready() == (200, []))
    worker.signal(2)
    worker.wait_for("draining; a second Ctrl-C hands back what runs and ends at once")
    assert worker.wait() == 0


def test_a_reader_of_its_reports_that_leaves_ends_no_task(
    broker: TestServer, short_directory: Path, settings: Settings
) -> None:
    settings.TASKS = {"default": {"BACKEND": OURS}}
    enqueue(3, name="default")
    ran = shell("manage.py work --burst --json | true", broker, short_directory)
    assert ran.returncode == 0
    counts = standing.queue("default", "default").counts()
    assert (counts.ready, counts.running) == (0, 0)
    gone = "work: stdout takes nothing more (its reader is gone): there are no more reports, the work goes on"
    assert ran.stderr.splitlines().count(gone) == 1


def test_an_outage_is_not_over_because_the_worker_ends(manage: Manage, broker: TestServer) -> None:
    broker.stop()
    worker = manage("work")
    worker.wait_for("Redis is away")
    worker.terminate()
    assert "over after" not in worker.stderr, worker.stderr
    broker.start()


def test_a_schedule_without_a_clock_is_named_once(manage: Manage, broker: TestServer) -> None:
    every = {"task": "tests.taskqueue.jobs.note", "every": 60}
    more = {"LEASE_SECONDS": 0.5, "SCHEDULE": {"one": every, "two": every}}
    env = {"DJANGO_SETTINGS_MODULE": "tests.tuned_settings", "TEST_MESSAGING": json.dumps(more)}
    said = "SCHEDULE has 2 entries, and no listener is in charge: run manage.py listen"
    worker = manage("work", env=env)
    worker.wait_for(said)
    time.sleep(2.5)  # two more looks, if it took them
    assert worker.terminate() == 0
    assert worker.stderr.count(said) == 1


def schedule_of(settings: Settings, number: int = 1) -> None:
    more: dict[str, object] = {"SCHEDULE": {f"entry {each}": {} for each in range(number)}}
    settings.MESSAGING = settings.MESSAGING | more | {"LEASE_SECONDS": 6.0}


def report(state: str = "working") -> Report:
    return Report(0, 0, 0, 0, 0, 0, 0, 0, [], state, 0.0)


def test_a_listener_in_charge_is_the_clock(settings: Settings, broker: TestServer) -> None:
    schedule_of(settings)
    times = iter([0.0, 11.0, 13.0])
    clock = ClockWanted(lambda: next(times))
    assert clock.look(report()) == "", "too early to say"
    client = broker.client()
    client.set(keys.heartbeat(), "{}")
    assert clock.look(report()) == ""
    client.delete(keys.heartbeat())
    assert clock.look(report()) == "", "it was there when this worker began"


def test_nobody_is_missed_without_a_schedule_or_while_redis_is_away(
    settings: Settings, broker: TestServer
) -> None:
    now = 0.0
    none = ClockWanted(lambda: now)
    schedule_of(settings)
    clock = ClockWanted(lambda: now)
    now = 13.0
    assert none.look(report()) == "", "the setting was empty"
    assert clock.look(report("waiting")) == ""
    assert clock.look(report()) == "", "a listener comes back as late as this worker"
    broker.stop()
    now = 26.0
    assert clock.look(report()) == ""
    broker.start()
    assert clock.look(report()) == ""
    now = 39.0
    assert clock.look(report()).startswith("SCHEDULE has 1 entry, and no listener")
    assert clock.look(report()) == ""


def test_an_outage_neither_holds_up_its_end_nor_fails_it(manage: Manage, broker: TestServer) -> None:
    worker = manage("work", "--drain-seconds", "3")
    queue = standing.queue("default", "default")
    eventually(queue.workers)
    broker.stop()
    worker.wait_for("Redis is away")
    began = time.monotonic()
    assert worker.terminate() == 0
    assert time.monotonic() - began < 30
    assert "was held is taken back by other workers" in worker.stderr, worker.stderr
    broker.start()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--queues", "mail=many"], "the weight of queue 'mail' must be a number from 1 to 1000, not 'many'"),
        (["--queues", "-mail"], "expected one argument"),
        (["--queues=-mail"], "names no queue"),
        (["--queues", "male"], "the backend has no queue 'male'; it has default, mail"),
        (["--queues", ""], "--queues: '' names no queue"),
        (["--memory-limit", "5"], "--memory-limit 5: a process without a task takes "),
        (["--processes", "0"], "not a whole number from 1: '0'"),
        (["--probe", "here:http"], "must be a port or HOST:PORT, not 'here:http'"),
        (["--drain-seconds", "soon"], "not a number of seconds from 0 to 1,000,000: 'soon'"),
        (["--drain-seconds", "nan"], "not a number of seconds from 0 to 1,000,000: 'nan'"),
        (["--nonsense"], "unrecognized arguments"),
    ],
)
def test_usage(settings: Settings, arguments: list[str], said: str) -> None:
    settings.TASKS = {"default": {"BACKEND": OURS, "QUEUES": ["default", "mail"]}}
    ran = run("work", *arguments)
    assert (ran.code, said in ran.err) == (2, True), ran.err


def test_help_shows_how_to_leave_a_queue_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("work", "--help").code == 0
    assert "--queues=-NAME,*" in capsys.readouterr().out


def test_a_probe_that_cannot_be(manage: Manage, broker: TestServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = run("work", "--probe", f"127.0.0.1:{taken.getsockname()[1]}")
    assert (ran.code, ran.err.strip().endswith("Address already in use")) == (3, True), ran.err


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        ("none", "Cannot start: TASKS['none']: "),
        ("other", "Cannot start: TASKS['other'] is a DummyBackend"),
    ],
)
def test_backends_that_are_not_ours(settings: Settings, backend: str, said: str) -> None:
    package = BaseTaskBackend.__module__.rpartition(".")[0]
    settings.TASKS = {"other": {"BACKEND": f"{package}.dummy.DummyBackend"}}
    ran = run("work", "--backend", backend)
    assert ran.code == 3
    assert ran.err.startswith(said), ran.err


def test_options_with_which_nothing_can_be_enqueued(settings: Settings) -> None:
    settings.TASKS = {"default": {"BACKEND": OURS, "OPTIONS": {"MAX_ATEMPTS": 3}}}
    ran = run("work")
    assert ran.code == 3
    assert ran.err == (
        "Cannot start: TASKS['default']: OPTIONS has an unknown key: 'MAX_ATEMPTS' (Did you mean 'MAX_ATTEMPTS'?)\n"
    )


def test_a_url_that_is_none(settings: Settings) -> None:
    settings.MESSAGING = {"URL": "http://localhost"}
    ran = run("work")
    assert ran.code == 3
    assert ran.err.startswith("Cannot start: MESSAGING['URL'] is not a Redis URL")


def test_code_that_cannot_be_loaded(manage: Manage, broker: TestServer) -> None:
    worker = manage("work", env={"DJANGO_SETTINGS_MODULE": "tests.taskqueue.broken_settings"})
    assert worker.wait() == 3
    assert "a worker process cannot start" in worker.stderr
    assert "this module is broken" in worker.stderr


@pytest.mark.parametrize(
    ("text", "known", "weights"),
    [
        ("default", [], {"default": 1}),
        ("default, mail=3", ["x"], {"default": 1, "mail": 3}),
        ("*", ["b", "a"], {"a": 1, "b": 1}),
        ("*=2,mail=5,-slow", ["a", "slow", "mail"], {"a": 2, "mail": 5}),
        ("*", [], {}),
    ],
)
def test_a_choice_of_queues(text: str, known: list[str], weights: dict[str, int]) -> None:
    choice = Choice.parse(text)
    assert choice.of(known) == weights
    assert Choice.parse(str(choice)) == choice
