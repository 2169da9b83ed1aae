"""A task of a transaction runs if and only if that transaction is committed, and once whatever is sent again."""

import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction
from django.test import TestCase
from pytest_django import DjangoDbBlocker, Settings

from messaging.errors import BrokerUnavailable
from messaging.models import PendingTask
from messaging.taskqueue import RedisTaskBackend, outbox, waiting
from messaging.taskqueue.job import State
from messaging.taskqueue.seam import InvalidTask, TaskResultDoesNotExist, task_backends, task_enqueued
from tests import databases
from tests.conftest import reset_clients
from tests.outside.inline import burst
from tests.postgres import PostgresServer
from tests.processes import ROOT, plain_environment
from tests.servers import TestServer
from tests.taskqueue import jobs

BACKEND = "messaging.taskqueue.RedisTaskBackend"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker) -> Path:
    with django_db_blocker.unblock():
        return databases.sqlite_template(tmp_path_factory.mktemp("tasks"))


@pytest.fixture
def sqlite(
    template: Path, tmp_path: Path, settings: Settings, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    config = databases.copied_sqlite(template, tmp_path)
    with django_db_blocker.unblock(), databases.alias(databases.new_name(), config) as name:
        yield name


@pytest.fixture
def postgresql(postgres: PostgresServer, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    config = databases.postgresql_config(postgres, "tests")
    with django_db_blocker.unblock():
        databases.migrate(config)
        with databases.alias(databases.new_name(), config) as name:
            databases.empty(name)
            yield name


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    alias: str = request.getfixturevalue(request.param)
    return alias


@pytest.fixture
def ours(broker: TestServer, settings: Settings, request: pytest.FixtureRequest) -> RedisTaskBackend:
    """The default backend, whose tasks wait for commits of the test's database; the sweeper waits for nobody."""
    name = "database" if "database" in request.fixturenames else "sqlite"
    alias: str = request.getfixturevalue(name)
    settings.MESSAGING = settings.MESSAGING | {"OUTBOX_GRACE_SECONDS": 0.0, "DATABASE": alias}
    settings.TASKS = {
        "default": {
            "BACKEND": BACKEND,
            "QUEUES": ["default", "mail"],
            "OPTIONS": {"ENQUEUE_ON_COMMIT": True},
        },
        "at once": {"BACKEND": BACKEND},
    }
    jobs.ran.clear()
    made: RedisTaskBackend = task_backends["default"]
    return made


class RolledBack(Exception):
    """Ends a transaction."""


@contextmanager
def rolled_back(alias: str) -> Iterator[None]:
    with suppress(RolledBack), transaction.atomic(using=alias):
        yield
        raise RolledBack


def rows(alias: str) -> list[str]:
    return list(PendingTask.objects.using(alias).order_by("pk").values_list("job_id", flat=True))


def ready(ours: RedisTaskBackend) -> list[Any]:
    """The first argument of every job that is ready."""
    return [ours.get_result(job.id).args[0] for job in ours.queue("default").page(State.READY)]


def test_what_is_committed_is_sent_and_nothing_else(ours: RedisTaskBackend, database: str) -> None:
    with rolled_back(database):
        lost = jobs.note.enqueue("rolled back")
        assert ours.get_result(lost.id) == lost
    with transaction.atomic(using=database):
        first = jobs.note.enqueue("first")
        with rolled_back(database):
            jobs.note.enqueue("savepoint rolled back")
        with transaction.atomic(using=database):
            second = jobs.note.using(run_after=datetime(2026, 1, 1, tzinfo=UTC), max_attempts=2).enqueue(
                "second"
            )
        assert ready(ours) == []
        assert ours.get_result(second.id) == second  # from its row
    assert ready(ours) == ["first", "second"]
    assert [ours.get_result(each.id) for each in (first, second)] == [first, second]  # and from the queue
    with pytest.raises(TaskResultDoesNotExist):
        ours.get_result(lost.id)
    jobs.note.enqueue("outside")
    assert ready(ours) == ["first", "second", "outside"]
    assert rows(database) == [first.id, second.id]
    assert outbox.sweep() == 0  # the queue has them
    assert rows(database) == []
    assert burst(ours, "default") == 3
    assert jobs.ran == ["first", "second", "outside"]


def test_what_a_savepoint_took_back_leaves_no_claim_to_rows_of_others(
    ours: RedisTaskBackend, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite gives the key of the row that was rolled back to whoever writes next."""

    def another_commits() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(outbox, "_send_now", lambda ids, using: None)  # it has not come to that yet
            with transaction.atomic(using=database):
                jobs.note.enqueue("of another")

    with transaction.atomic(using=database):
        transaction.on_commit(lambda: databases.elsewhere(another_commits), using=database)
        jobs.note.enqueue("first")
        with rolled_back(database):
            jobs.note.enqueue("rolled back")
    assert ready(ours) == ["first"]


def test_a_row_that_no_queue_takes_holds_up_nobody(
    ours: RedisTaskBackend, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("messaging.taskqueue.outbox._send_now", lambda ids, using: None)
        with transaction.atomic(using=database):
            jobs.note.enqueue("spoiled")
            jobs.note.enqueue("whole")
    first = PendingTask.objects.using(database).earliest("pk")
    first.options = (
        first.options.replace('"priority":0', '"priority":1000') if "priority" in first.options else "{"
    )
    first.save()
    assert outbox.sweep() == 1
    assert ready(ours) == ["whole"]
    assert waiting.look().pending == 2


def test_what_is_not_sent_is_swept_and_twice_is_once(
    ours: RedisTaskBackend, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "_send_now", lambda ids, using: None)
        with transaction.atomic(using=database):
            jobs.note.enqueue("a")
            jobs.note.using(queue_name="mail").enqueue("b")
    assert (waiting.look().pending, waiting.look().unsent) == (2, 2)
    assert outbox.sweep() == 2
    assert burst(ours, "default", "mail") == 2
    PendingTask.objects.using(database).update(sent_at=None)  # its process died before it could note it
    assert outbox.sweep() == 0
    assert burst(ours, "default", "mail") == 0
    assert rows(database) == []


def test_that_tasks_wait_is_said_once(
    ours: RedisTaskBackend, sqlite: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox._patience, "waits", False)

    def enqueue(number: int) -> None:
        with transaction.atomic(using=sqlite):
            jobs.note.enqueue(number)

    def said() -> list[str]:
        return [
            each.getMessage()
            for each in caplog.records
            if each.name == "messaging.publish" and each.levelno >= logging.WARNING
        ]

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "send_rows", Mock(side_effect=BrokerUnavailable("Redis is away")))
        for number in range(3):
            enqueue(number)
    assert said() == ["1 task, and those that follow, wait in the outbox: Redis is away"]
    enqueue(3)
    enqueue(4)
    assert said()[1:] == ["tasks of the outbox are sent again"]


def test_a_redis_that_forgets_gets_it_again(ours: RedisTaskBackend, sqlite: str) -> None:
    with transaction.atomic(using=sqlite):
        jobs.note.enqueue("a")
    ours.queue("default").client.flushall()
    assert outbox.sweep() == 1
    assert waiting.look().resent == {"lost": 1}
    assert PendingTask.objects.using(sqlite).get().sends == 2
    assert outbox.sweep() == 0
    assert ready(ours) == ["a"]
    assert rows(sqlite) == []


def test_a_row_stays_until_it_is_as_safe_as_its_queue_asks_for(
    ours: RedisTaskBackend,
    sqlite: str,
    broker: TestServer,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nobody waits for that but the listener; the task runs meanwhile."""

    def ask(level: str, seconds: float) -> None:
        options = {"ENQUEUE_ON_COMMIT": True, "DURABILITY": {"*": level}, "DURABILITY_SECONDS": seconds}
        settings.TASKS = {"default": {"BACKEND": BACKEND, "OPTIONS": options}}

    ask("replicas", 0.02)
    with transaction.atomic(using=sqlite):
        task = jobs.note.enqueue("a")
    for _ in range(2):
        assert outbox.sweep() == 0
        assert rows(sqlite) == [task.id]
    assert ready(ours) == ["a"]
    assert [each.getMessage() for each in caplog.records if "stay in the outbox" in each.getMessage()] == [
        "tasks of queue default stay in the outbox for up to 10 minutes: it is in the memory of 0 of 1 replicas"
    ]
    broker.client().config_set("appendfsync", "always")
    ask("fsync", 30)
    assert outbox.sweep() == 0
    broker.client().config_set("appendfsync", "everysec")
    assert rows(sqlite) == []


def test_what_was_sent_long_ago_is_not_sent_again(ours: RedisTaskBackend, sqlite: str) -> None:
    with transaction.atomic(using=sqlite):
        jobs.note.enqueue("a")
    ours.queue("default").client.flushall()  # done and forgotten
    PendingTask.objects.using(sqlite).update(sent_at=datetime.now(UTC) - timedelta(hours=1))
    assert outbox.sweep() == 0
    assert (ready(ours), rows(sqlite)) == ([], [])


def test_a_result_is_kept_longer_than_its_row(ours: RedisTaskBackend, sqlite: str) -> None:
    with transaction.atomic(using=sqlite):
        result = jobs.note.using(keep_results=0).enqueue("a")
    job = ours.queue("default").get(result.id)
    assert job is not None
    assert job.keep_ms / 1000 > outbox.SECOND_LOOK.total_seconds()


def test_a_row_that_somebody_spoiled_stays_and_stops_nobody(ours: RedisTaskBackend, sqlite: str) -> None:
    with transaction.atomic(using=sqlite):
        jobs.note.enqueue("a")
        PendingTask.objects.using(sqlite).update(options="{")
        jobs.note.enqueue("b")
    assert ready(ours) == ["b"]
    assert outbox.sweep() == 0
    assert outbox.sweep() == 0
    assert len(rows(sqlite)) == 1
    assert waiting.look().resent == {"unreadable": 1}


def test_redis_may_be_away_at_the_commit(ours: RedisTaskBackend, sqlite: str, broker: TestServer) -> None:
    heard: list[str] = []

    def receiver(task_result: Any, **_: Any) -> None:
        heard.append(task_result.args[0])

    task_enqueued.connect(receiver)
    broker.stop()
    try:
        with transaction.atomic(using=sqlite):
            jobs.note.enqueue("a")
            assert heard == []
        with rolled_back(sqlite):
            jobs.note.enqueue("b")
    finally:
        broker.start()
        task_enqueued.disconnect(receiver)
    assert heard == ["a"]  # it is enqueued, though Redis does not know yet
    reset_clients()
    assert outbox.sweep() == 1
    assert waiting.look().resent == {"unsent": 1}
    assert ready(ours) == ["a"]


@pytest.mark.anyio
async def test_coroutines_and_single_calls(ours: RedisTaskBackend, sqlite: str) -> None:
    await jobs.note.using(outbox=True).aenqueue("a row outside of any transaction")
    assert await sync_to_async(rows)(sqlite) != []
    await jobs.note.aenqueue("none")

    @sync_to_async
    def inside() -> None:
        with transaction.atomic(using=sqlite):
            jobs.note.using(outbox=False).enqueue("at once")
            jobs.note.using(backend="at once").enqueue("as Django has it")
            assert ready(ours) == ["a row outside of any transaction", "none", "at once"]
            jobs.note.using(backend="at once", outbox=sqlite).enqueue("named")
        assert len(ready(task_backends["at once"])) == 2

    await inside()


def test_a_database_whose_outbox_nobody_empties_is_refused(ours: RedisTaskBackend, sqlite: str) -> None:
    with pytest.raises(InvalidTask, match="outbox='default' is a database whose outbox nobody empties"):
        jobs.note.using(outbox="default").enqueue("a")


KILLED = """
import os, signal, django
django.setup()
from django.db import transaction
from tests.taskqueue import jobs

with transaction.atomic():
    transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))
    jobs.note.enqueue("committed")
"""


def test_a_process_killed_between_commit_and_send_loses_nothing(
    ours: RedisTaskBackend, sqlite: str, broker: TestServer, tmp_path: Path
) -> None:
    path = connections[sqlite].settings_dict["NAME"]
    done = subprocess.run(
        [sys.executable, "-c", KILLED],
        env=plain_environment(
            DJANGO_SETTINGS_MODULE="broker_site.settings",
            REDIS_URL=broker.url,
            DATABASE_URL=f"sqlite:///{path}",
            VAR_DIR=str(tmp_path),
        ),
        cwd=ROOT,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL
    assert ready(ours) == []
    PendingTask.objects.using(sqlite).update(look_at=datetime.now(UTC))
    assert outbox.sweep() == 1
    assert burst(ours, "default") == 1
    assert jobs.ran == ["committed"]


@pytest.mark.usefixtures("broker")
class TestInsideATestCase(TestCase):
    def test_captured_callbacks_send_what_their_block_enqueued(self) -> None:
        made: RedisTaskBackend = task_backends["default"]  # the site's own, which waits for commits
        jobs.note.enqueue("before")
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            jobs.note.enqueue("a")
            jobs.note.enqueue("b")
        assert len(callbacks) == 2
        assert ready(made) == ["a", "b"]
