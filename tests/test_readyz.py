"""/healthz and /readyz: each part that can be missing is named, nothing hangs, nothing leaks."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from pytest_django import Settings

from messaging import health, keys
from messaging.taskqueue.standing import queue
from tests.queued import beat as worker_beat
from tests.queued import enqueue
from tests.servers import TestServer
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

READY = dict.fromkeys(("database", "migrations", "redis", "listener", "workers"), "ok")


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """What one test has learnt of a database is not known to the next."""
    health._migrated.clear()
    yield
    health._migrated.clear()


def parts(client: Client, status: int) -> dict[str, str]:
    reply = client.get("/readyz")
    assert reply.status_code == status
    assert reply.headers["Cache-Control"] == "max-age=0, no-cache, no-store, must-revalidate, private"
    body: dict[str, Any] = json.loads(reply.content)
    assert body["ready"] is (status == 200)
    return body["parts"]


def unknown(error: str) -> dict[str, str]:
    return {"redis": f"no answer ({error})", "listener": "unknown", "workers": "unknown"}


def beat(broker: TestServer) -> None:
    broker.client().set(keys.heartbeat(), "{}", ex=10)


def test_ready(client: Client, broker: TestServer) -> None:
    beat(broker)
    assert parts(client, 200) == READY
    assert parts(client, 200) == READY


def test_not_ready_is_no_error_in_the_log(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    assert client.get("/readyz").status_code == 503
    assert "django.request" not in {record.name for record in caplog.records}


def test_no_listener(client: Client, broker: TestServer) -> None:
    assert parts(client, 503) == READY | {"listener": "none has reported: run manage.py listen"}


def test_tasks_that_nobody_takes(client: Client, broker: TestServer, settings: Settings) -> None:
    beat(broker)
    settings.TASKS = {
        "default": {"BACKEND": "messaging.taskqueue.RedisTaskBackend", "QUEUES": ["default", "mails"]}
    }
    enqueue(2)
    said = READY | {
        "workers": "2 tasks wait in queue 'mails', and no worker takes from it: run manage.py work"
    }
    assert parts(client, 200) == said, "requests can be served"
    settings.MESSAGING = settings.MESSAGING | {"READY_NEEDS_WORKER": True}
    assert parts(client, 503) == said
    mails = queue("default", "mails")
    mails.pause("me")
    assert parts(client, 200) == READY
    mails.resume("me")
    worker_beat(mails)
    assert parts(client, 200) == READY
    worker_beat(mails, state="quiet")  # it was told to take nothing
    assert parts(client, 503) == said
    worker_beat(mails)
    worker_beat(mails, "host:2:abc", state="quiet")
    assert parts(client, 200) == READY
    settings.MESSAGING = settings.MESSAGING | {"TASK_LEASE_SECONDS": 0.001}  # they were heard a while ago
    eventually(lambda: parts(client, 503) == said)


def test_tasks_whose_time_has_come_and_that_nobody_takes(
    client: Client, broker: TestServer, settings: Settings
) -> None:
    beat(broker)
    now = int(time.time() * 1000)
    enqueue(1, name="default", due_ms=now + 50)
    enqueue(1, name="later", due_ms=now + 3_600_000)
    said = "1 task waits in queue 'default', and no worker takes from it: run manage.py work"
    eventually(lambda: parts(client, 200)["workers"] == said)


def test_no_redis(client: Client, broker: TestServer) -> None:
    broker.stop()
    assert parts(client, 503) == READY | unknown("ConnectionError")


def test_redis_that_hangs(client: Client, broker: TestServer) -> None:
    broker.signal(signal.SIGSTOP)
    try:
        late = dict.fromkeys(("redis", "listener", "workers"), "no answer within 1 s")  # a busy machine
        assert parts(client, 503) in (READY | unknown("TimeoutError"), READY | late)
    finally:
        broker.signal(signal.SIGCONT)


def test_database_that_hangs_costs_a_second_however_often_one_asks(
    client: Client, broker: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat(broker)
    released = threading.Event()
    asked: list[int] = []

    def hang() -> dict[str, str]:
        asked.append(1)
        released.wait(20)
        return {}

    monkeypatch.setattr(health, "_database", hang)
    try:
        for _ in range(2):
            silent = dict.fromkeys(("database", "migrations"), "no answer within 1 s")
            assert parts(client, 503) == READY | silent
        assert asked == [1]  # the second question waits for the first one's answer
    finally:
        released.set()


def test_settings_that_cannot_work(client: Client, settings: Settings) -> None:
    settings.MESSAGING = {"URL": "http://user:s3cret@localhost/"}
    assert parts(client, 503)["redis"] == "no answer (Misconfigured)"


def test_unapplied_migration(client: Client, broker: TestServer) -> None:
    beat(broker)
    with connection.cursor() as cursor:
        cursor.execute("SELECT app, name, applied FROM django_migrations WHERE app = 'messaging'")
        applied = cursor.fetchall()
        cursor.execute("DELETE FROM django_migrations WHERE app = 'messaging'")
        try:
            assert parts(client, 503) == READY | {
                "migrations": f"{len(applied)} to apply: run manage.py migrate"
            }
        finally:
            cursor.executemany(
                "INSERT INTO django_migrations (app, name, applied) VALUES (%s, %s, %s)", applied
            )


def test_database_that_is_away(client: Client, broker: TestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    beat(broker)

    def refuse(self: object) -> None:
        raise DatabaseError("password s3cret of db.example refused")

    monkeypatch.setattr("django.db.backends.base.base.BaseDatabaseWrapper.cursor", refuse)
    found = parts(client, 503)
    assert found == READY | {"database": "no answer (DatabaseError)", "migrations": "unknown"}


def test_healthz_needs_nothing(client: Client) -> None:
    assert client.get("/healthz").json() == {"healthy": True}


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_are_read_only(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405
