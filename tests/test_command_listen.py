"""``manage.py listen`` in a terminal: what it says, how it starts and how it ends."""

import json
import signal
import socket
import threading
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import httpx
import msgspec
import pytest
from django.core.management import call_command
from pytest_django import Settings

from messaging import publish, publish_many
from messaging.listener import Listener, Report
from messaging.loop import Loop, Outages
from messaging.management.commands.listen import idle
from tests.commands import run
from tests.conftest import Manage
from tests.servers import TestServer
from tests.sites import Database
from tests.stored import stored
from tests.waiting import eventually


def test_a_signal_drains_it(manage: Manage, broker: TestServer, database_copy: Database) -> None:
    listener = manage("listen")
    listener.wait_for("is in charge")
    publish_many(("numbers", number) for number in range(2000))
    assert listener.terminate() == 0
    assert listener.stdout == ""
    # What it had read is stored, in order and without a hole; the next one goes on from there.
    numbers = [row.data for row in stored(database_copy.path)]
    assert numbers == list(range(len(numbers)))


def test_a_person_sees_what_it_does(manage: Manage, broker: TestServer) -> None:
    listener = manage("listen", "updates", tty=True, env={"TERM": "xterm", "COLUMNS": "70"})
    listener.wait_for("Listening to unix://.*; Ctrl-C drains and ends")
    listener.wait_for(r"0 stored \(0/s\), 0 captured, lag 0.0 s, ok")
    eventually(lambda: broker.client().publish("updates", "tea"))
    listener.wait_for(r"1 stored \(\d/s\), 1 captured, lag 0.0 s, ok")
    broker.stop()
    listener.wait_for("ok|Redis is away\r")
    listener.wait_for(r"1 stored .*, Redis is away")
    listener.signal(signal.SIGINT)
    listener.wait_for("draining; a second Ctrl-C ends at once")
    assert listener.wait() == 0


def test_a_probe_sees_what_it_does(manage: Manage, broker: TestServer, short_directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        at = f"127.0.0.1:{free.getsockname()[1]}"
    file = short_directory / "ready"
    listener = manage("listen", "--probe", at, "--ready-file", str(file))
    listener.wait_for("is in charge")
    with httpx.Client(base_url=f"http://{at}", trust_env=False, timeout=30) as client:

        def ready() -> tuple[int, list[str]]:
            reply = client.get("/readyz")
            return reply.status_code, reply.json()["reasons"]

        eventually(lambda: ready() == (200, []) and file.exists())
        assert client.get("/readyz").json()["listener"]["in_charge"]
        broker.stop()
        try:
            eventually(lambda: ready() == (503, ["Redis is away"]) and not file.exists())
            assert client.get("/healthz").json()["healthy"], "a restart would not help"
        finally:
            broker.start()
        eventually(lambda: ready() == (200, []) and file.exists())
    assert listener.terminate() == 0
    assert not file.exists()


def test_a_probe_that_cannot_be(manage: Manage, broker: TestServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listener = manage("listen", "--probe", f"127.0.0.1:{taken.getsockname()[1]}")
        assert listener.wait() == 3
    assert listener.stderr.strip().endswith("Address already in use")


def test_who_stands_by_is_ready_until_redis_is_away(manage: Manage, broker: TestServer) -> None:
    manage("listen").wait_for("is in charge")
    second = manage("listen", "--json")
    second.wait_for("standing by for")
    report = msgspec.json.decode(second.wait_for(r"\{.*\}")[0], type=Report)
    assert (report.in_charge, idle(report)) == (False, [])
    broker.stop()
    second.wait_for('"failures":{"listener":"Redis is away"}')
    broker.start()


def test_a_part_that_hangs_is_named(monkeypatch: pytest.MonkeyPatch, broker: TestServer) -> None:
    monkeypatch.setattr("messaging.listener.STUCK_SECONDS", 0.0)
    let_go = threading.Event()
    loop = Loop("relay of partition 0", lambda stopping: bool(let_go.wait(30)) and None, outages=Outages())
    listener = Listener()
    listener._loops.append(loop)
    assert listener.stuck() == []
    loop.start()
    try:
        eventually(lambda: listener.stuck() == ["relay of partition 0 has not ended a step for 0 s"])
        loop.stop()
    finally:
        let_go.set()
    loop.join(5)
    assert listener.stuck() == []


def test_json_reports(manage: Manage, broker: TestServer) -> None:
    listener = manage("listen", "--json")
    publish("numbers", 1)
    listener.wait_for('"stored":1')
    assert listener.terminate() == 0
    report = json.loads(listener.stdout.splitlines()[-1])
    assert (report["in_charge"], report["stored"], report["failures"]) == (True, 1, {})


def test_it_waits_for_a_redis_that_is_away(
    manage: Manage, broker: TestServer, database_copy: Database
) -> None:
    broker.stop()
    listener = manage("listen")
    listener.wait_for("Redis is away")
    broker.start()
    publish("numbers", 1)
    eventually(lambda: stored(database_copy.path))
    assert listener.terminate() == 0


def test_a_second_signal_ends_it_at_once(manage: Manage, broker: TestServer) -> None:
    listener = manage("listen")
    listener.wait_for("is in charge")
    broker.signal(signal.SIGSTOP)  # the drain has to wait for its answer
    try:
        listener.signal(signal.SIGINT)
        with pytest.raises(AssertionError):
            listener.wait(1)
        listener.signal(signal.SIGINT)
        assert listener.wait(1) == 130
    finally:
        broker.signal(signal.SIGCONT)


def test_one_signal_sent_twice_in_a_moment_is_one(manage: Manage, broker: TestServer) -> None:
    listener = manage("listen")
    listener.wait_for("is in charge")
    listener.signal(signal.SIGINT)  # as a terminal and `timeout` do together
    listener.signal(signal.SIGTERM)
    assert listener.wait() == 0


def test_a_second_listener_stands_by_and_takes_over(
    manage: Manage, broker: TestServer, database_copy: Database
) -> None:
    first = manage("listen")
    first.wait_for("is in charge")
    second = manage("listen", tty=True, env={"TERM": "xterm"})
    second.wait_for("standing by for")
    assert first.terminate() == 0
    second.wait_for("is in charge")
    publish("numbers", 1)
    eventually(lambda: stored(database_copy.path))
    assert second.terminate() == 0


@pytest.mark.django_db
def test_a_part_that_does_not_end_is_said(monkeypatch: pytest.MonkeyPatch, broker: TestServer) -> None:
    hanging, let_go = threading.Event(), threading.Event()

    def step(stopping: threading.Event) -> None:
        hanging.set()
        let_go.wait(30)

    def run_and_give_up(listener: Listener, **options: object) -> None:
        loop.start()
        loop.stop()
        hanging.wait(5)

    loop = Loop("a part that hangs", step, outages=Outages())
    monkeypatch.setattr(Listener, "run", run_and_give_up)
    try:
        ran = run("listen")
    finally:
        let_go.set()
        loop.join(5)
    assert ran.code == 5
    assert ran.err.startswith("Drain timed out")


@pytest.mark.django_db
def test_a_reader_of_its_reports_that_leaves_does_not_end_it(
    monkeypatch: pytest.MonkeyPatch, broker: TestServer
) -> None:
    class Closed(StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    ticks: list[int] = []

    def run_three_times(listener: Listener, *, on_tick: Callable[[Report], None]) -> None:
        for number in range(3):
            on_tick(listener.report())
            ticks.append(number)

    monkeypatch.setattr(Listener, "run", run_three_times)
    said = StringIO()
    call_command("listen", "--json", stdout=Closed(), stderr=said)
    assert ticks == [0, 1, 2]
    assert said.getvalue() == (
        "listen: stdout takes nothing more (its reader is gone): there are no more reports, the work goes on\n"
    )


# -- what keeps it from starting


def test_a_database_without_tables(manage: Manage, broker: TestServer, short_directory: object) -> None:
    listener = manage("listen", env={"DATABASE_URL": f"sqlite:///{short_directory}/new.sqlite3"})
    assert listener.wait() == 3
    assert listener.stderr == ("Cannot start: the database lacks messaging's tables: run manage.py migrate\n")


def test_settings_that_cannot_work(manage: Manage) -> None:
    listener = manage("listen", env={"REDIS_URL": "http://localhost"})
    assert listener.wait() == 3
    assert listener.stderr.startswith("Cannot start: ")
    assert len(listener.stderr.splitlines()) == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "SCHEDULE",
            {"nightly": {"task": "shop.nothing", "every": 60}},
            "MESSAGING['SCHEDULE']['nightly']: ",
        ),
        ("TASK_LISTS", {"emails": "shop.nothing"}, "MESSAGING['TASK_LISTS']['emails']"),
        ("ALERTS", {"deed": {"*": 1}}, "MESSAGING['ALERTS'] knows dead, wait, silence, not 'deed'"),
    ],
)
def test_what_it_is_to_do_for_tasks_and_cannot(
    broker: TestServer, settings: Settings, name: str, value: object, said: str
) -> None:
    settings.MESSAGING = settings.MESSAGING | {name: value}
    ran = run("listen")
    assert ran.code == 3
    assert ran.err.startswith(f"Cannot start: {said}")
    assert len(ran.err.splitlines()) == 1


@pytest.mark.django_db
def test_a_site_without_tasks_listens(
    broker: TestServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> object:
        raise ModuleNotFoundError("No module named 'django_tasks'", name="django_tasks")

    monkeypatch.setattr("messaging.taskchecks.import_module", missing)
    monkeypatch.setattr(Listener, "run", lambda *_, **__: None)
    assert run("listen").code == 0
    settings.MESSAGING = settings.MESSAGING | {"ALERTS": {"dead": {"*": 1}}}
    ran = run("listen")
    assert ran.code == 3
    assert ran.err.startswith(
        "Cannot start: MESSAGING['ALERTS'] needs Django's Tasks, which are not installed (Django has them from 6.0 on"
    )


def test_usage(manage: Manage) -> None:
    assert manage("listen", "--nonsense").wait() == 2


def test_help_ends_in_examples(manage: Manage) -> None:
    listener = manage("listen", "--help")
    assert listener.wait() == 0
    assert "manage.py listen 'orders.*' updates" in listener.stdout
    assert "exit codes: 0 drained" in listener.stdout
