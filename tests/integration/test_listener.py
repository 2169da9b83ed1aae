"""The listener as a service: all of its parts together, two of them at once, and a world that goes away and returns."""

import logging
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import redis
from django.db import connections, transaction
from pytest_django import Settings

import messaging
from messaging import connection, duties, keys, lease, log, wire
from messaging.listener import report_of
from messaging.models import Cursor, Gap, Message
from messaging.publisher import prepare
from tests import databases
from tests.integration.conftest import StartListener, our_threads
from tests.postgres import PostgresServer
from tests.servers import TestServer
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.usefixtures("broker")


@pytest.fixture(autouse=True)
def quick(settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"OUTBOX_GRACE_SECONDS": 0.2, "LEASE_SECONDS": 2.0}


@pytest.fixture
def outside(broker: TestServer) -> redis.Redis:
    """A client that knows nothing of us."""
    return broker.client()


def stored(alias: str) -> list[Any]:
    return [row.data for row in Message.objects.using(alias).stored().in_log_order()]


def words(caplog: pytest.LogCaptureFixture, *loggers: str) -> list[str]:
    """What was logged at WARNING and above by the listener."""
    names = loggers or ("messaging.listen",)
    return [
        record.getMessage()
        for record in caplog.records
        if record.name in names and record.levelno >= logging.WARNING
    ]


# -- at work -----------------------------------------------------------------------------------------------------


def test_everything_that_comes_in_becomes_a_row(
    database: str, start_listener: StartListener, outside: redis.Redis
) -> None:
    running = start_listener(channels=["updates", "orders.*"], lists=["inbox"])
    eventually(lambda: outside.publish("updates", "New data available") and stored(database))
    outside.lpush("inbox", "task1")
    outside.lpush("inbox", "task2")
    with transaction.atomic(using=database):
        messaging.publish("c", "committed")
    messaging.publish("c", "direct")
    expected = {"New data available", "task1", "task2", "committed", "direct"}
    eventually(lambda: set(stored(database)) == expected)
    assert stored(database).index("task1") < stored(database).index("task2")
    eventually(lambda: not Message.objects.using(database).pending().exists())
    report = running.listener.report()
    assert (report.in_charge, report.holder, report.failures) == (True, report.owner, {})
    assert report.stored >= 5
    assert report.captured >= 3


def test_it_says_that_it_is_alive_and_takes_that_back_at_its_end(
    sqlite: str, start_listener: StartListener, broker: TestServer
) -> None:
    client = connection.client()
    running = start_listener()
    report = eventually(lambda: report_of(lease.last_beat(client)))
    assert report.in_charge
    assert report.owner == report.holder
    assert 0 < client.pttl(keys.heartbeat()) <= 2000
    running.stop()
    assert lease.last_beat(client) is None
    assert not client.exists(keys.lease())


@pytest.mark.parametrize("raw", [None, b"", b"{}", b"\xff", b'{"owner":1}'])
def test_a_heartbeat_that_is_none_is_no_report(raw: bytes | None) -> None:
    assert report_of(raw) is None


def test_asked_to_end_it_ends_all_of_its_threads(sqlite: str, start_listener: StartListener) -> None:
    running = start_listener(channels=["*"], lists=["a", "b"])
    assert len(our_threads()) == 7
    running.stop()
    assert our_threads() == []


def test_a_stop_may_be_asked_for_within_a_signal_handler(sqlite: str, start_listener: StartListener) -> None:
    """As many times as it likes, and before it runs as well: nothing it touches can be locked."""
    running = start_listener()
    for _ in range(100):
        running.listener.stop()
    running.stop()


def test_one_part_that_fails_does_not_stop_the_others(
    sqlite: str, start_listener: StartListener, outside: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    outside.set("bad", "not a list")
    running = start_listener(channels=["updates"], lists=["bad", "good"])
    outside.lpush("good", 1)
    messaging.publish("c", 2)
    eventually(lambda: sorted(stored(sqlite)) == [1, 2])
    assert running.listener.report().failures == {
        "messaging-capture of list 'bad'": "Redis refuses (WRONGTYPE)"
    }
    outside.delete("bad")
    outside.lpush("bad", 3)
    eventually(lambda: sorted(stored(sqlite)) == [1, 2, 3])
    eventually(lambda: len(words(caplog)) == 2)
    assert words(caplog)[0].startswith("Redis refuses (WRONGTYPE): capture of list 'bad' waits")
    assert words(caplog)[1].startswith("over after")


# -- two of them -------------------------------------------------------------------------------------------------


def test_of_two_listeners_one_stands_by_and_takes_over_at_once_when_the_other_ends(
    database: str, start_listener: StartListener, settings: Settings
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"LEASE_SECONDS": 60.0}
    first = start_listener()
    second = start_listener(wait=False)
    messaging.publish("c", 1)
    eventually(lambda: stored(database) == [1])
    eventually(lambda: second.listener.report().holder == first.listener.report().owner)
    assert not second.listener.in_charge.is_set()
    first.stop()
    eventually(second.listener.in_charge.is_set)  # long before the lease would have ended
    messaging.publish("c", 2)
    eventually(lambda: stored(database) == [1, 2])


def test_two_that_both_believe_to_be_in_charge_store_everything_once(
    database: str, start_listener: StartListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease only saves work: the fence keeps it safe."""
    monkeypatch.setattr(lease.Lease, "hold", lambda self: True)
    monkeypatch.setattr(lease.Lease, "is_ours", True)
    start_listener()
    start_listener()
    for n in range(300):
        messaging.publish("c", n)
        if n % 30 == 0:
            time.sleep(0.01)  # so that both get a turn
    eventually(lambda: len(stored(database)) == 300)
    assert stored(database) == list(range(300))
    assert Cursor.objects.using(database).get().fence >= 2


def test_a_listener_whose_lease_has_ended_stops_its_work(
    sqlite: str, start_listener: StartListener, outside: redis.Redis
) -> None:
    running = start_listener()
    outside.set(keys.lease(), "somebody else", px=60_000)
    eventually(lambda: not running.listener.in_charge.is_set())
    assert running.listener.report().holder == "somebody else"
    messaging.publish("c", 1)
    outside.delete(keys.lease())
    eventually(lambda: stored(sqlite) == [1])


# -- Redis goes away ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["restart", "away for longer than the lease"])
def test_it_goes_on_when_redis_comes_back(
    database: str,
    start_listener: StartListener,
    broker: TestServer,
    caplog: pytest.LogCaptureFixture,
    how: str,
) -> None:
    start_listener(channels=["updates"], lists=["inbox"])
    messaging.publish("c", 1)
    eventually(lambda: stored(database) == [1])
    broker.kill()
    eventually(lambda: words(caplog))
    with transaction.atomic(using=database):
        messaging.publish("c", 2)
    if how != "restart":
        threading.Event().wait(3)  # the lease ends
    broker.start()
    eventually(lambda: 2 in stored(database))
    wire.reset()
    messaging.publish("c", 3)
    eventually(lambda: 3 in stored(database))
    outside = broker.client()
    eventually(lambda: outside.publish("updates", 4) and 4 in stored(database))
    outside.lpush("inbox", 5)
    eventually(lambda: 5 in stored(database))
    eventually(lambda: any(each.startswith("over") for each in words(caplog)))
    said = [each for each in words(caplog) if "recorded as a gap" not in each]
    assert said[0].startswith("Redis is away")
    assert len(said) <= 4, said  # not one for each part, nor for each try
    assert list(Gap.objects.using(database).values_list("reason", flat=True)) == ["restarted"]


def test_a_redis_that_goes_away_while_work_begins_is_begun_again(
    sqlite: str,
    start_listener: StartListener,
    broker: TestServer,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
) -> None:
    """Half of the parts were taken for all of them: in charge, beating, and doing nothing."""
    loops, gone = duties.loops, threading.Event()

    def first_without_redis(*args: Any, **options: Any) -> Any:
        if not gone.is_set():
            broker.kill()
            gone.set()
        return loops(*args, **options)

    monkeypatch.setattr(duties, "loops", first_without_redis)
    running = start_listener(wait=False)
    assert gone.wait(PATIENCE)
    broker.start()
    eventually(running.listener.in_charge.is_set)
    wire.reset()
    messaging.publish("c", 1)
    eventually(lambda: stored(sqlite) == [1])


def test_an_outage_is_not_over_because_the_listener_ends(
    sqlite: str, start_listener: StartListener, broker: TestServer, caplog: pytest.LogCaptureFixture
) -> None:
    running = start_listener()
    broker.stop()
    eventually(lambda: any(each.startswith("Redis is away") for each in words(caplog)))
    running.stop()
    assert not [each for each in words(caplog) if each.startswith("over")]
    broker.start()


def test_a_redis_that_lost_everything_under_load_costs_no_committed_message(
    database: str, start_listener: StartListener, broker: TestServer
) -> None:
    start_listener()
    outside = broker.client()
    for n in range(100):
        with transaction.atomic(using=database):
            messaging.publish("c", n)
        if n % 40 == 25:
            outside.flushall()
    eventually(lambda: sorted(stored(database)) == list(range(100)))
    assert not Message.objects.using(database).pending().exists()
    assert Gap.objects.using(database).filter(reason="reborn").exists()


# -- the database goes away --------------------------------------------------------------------------------------


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Somebody writes, and takes long."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_it_waits_for_a_sqlite_that_is_locked_and_drops_nothing(
    sqlite: str, start_listener: StartListener, caplog: pytest.LogCaptureFixture
) -> None:
    connections.databases[sqlite]["OPTIONS"] = connections.databases[sqlite]["OPTIONS"] | {"timeout": 0.1}
    running = start_listener()
    messaging.publish("c", 0)
    eventually(lambda: stored(sqlite) == [0])
    with locked(connections.databases[sqlite]["NAME"]):
        for n in range(1, 50):
            messaging.publish("c", n)
        eventually(lambda: "the database is away" in running.listener.report().failures.values())
        threading.Event().wait(1)
        assert stored(sqlite) == [0]
        assert running.listener.report().lag_seconds > 0 or running.listener.report().in_charge
    eventually(lambda: stored(sqlite) == list(range(50)))
    eventually(lambda: len(words(caplog)) == 2)
    assert re.match(
        r"the database is away: (relay|dispatch) of partition 0 waits \(database is locked\)",
        words(caplog)[0],
    )
    assert words(caplog)[1].startswith("over after")


def test_it_waits_for_a_postgresql_that_was_stopped(
    postgresql: str, postgres: PostgresServer, start_listener: StartListener, caplog: pytest.LogCaptureFixture
) -> None:
    start_listener(lists=["inbox"])
    messaging.publish("c", 0)
    eventually(lambda: stored(postgresql) == [0])
    postgres.kill()
    connections[postgresql].close()
    try:
        for n in range(1, 50):
            messaging.publish("c", n, outbox=False)
        eventually(lambda: words(caplog))
    finally:
        postgres.start()
    eventually(lambda: stored(postgresql) == list(range(50)))
    eventually(lambda: any(each.startswith("over") for each in words(caplog)))
    # The test's server answers a COMMIT before it is safe on disk, so it may have forgotten who is in charge.
    said = [each for each in words(caplog) if "another listener took over" not in each]
    assert len(said) == 2
    assert said[0].startswith("the database is away")


def test_connections_that_the_database_has_cut_are_made_anew_without_a_word(
    postgresql: str, postgres: PostgresServer, start_listener: StartListener, caplog: pytest.LogCaptureFixture
) -> None:
    start_listener()
    messaging.publish("c", 0)
    eventually(lambda: stored(postgresql) == [0])
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        found = connection.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s",
            [connections[postgresql].settings_dict["NAME"]],
        ).fetchone()
    assert found
    assert found[0] >= 1
    connections[postgresql].close()
    messaging.publish("c", 1)
    eventually(lambda: stored(postgresql) == [0, 1])
    assert words(caplog) == []


def test_a_database_that_was_emptied_under_it_is_filled_again(
    postgresql: str, start_listener: StartListener
) -> None:
    start_listener()
    messaging.publish("c", 1)
    eventually(lambda: stored(postgresql) == [1])
    databases.empty(postgresql)
    messaging.publish("c", 2)
    eventually(lambda: stored(postgresql) == [1, 2])  # the log is read again from its start


def test_settings_that_changed_count_with_the_next_listener(
    sqlite: str, start_listener: StartListener, settings: Settings
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"PARTITIONS": 3, "CAPTURE_LISTS": ["inbox"]}
    start_listener()
    for n in range(30):
        messaging.publish(f"c{n}", n)
    eventually(lambda: sorted(stored(sqlite)) == list(range(30)))
    assert sorted(our_threads()) == [
        "messaging-capture of list 'inbox'",
        *(f"messaging-dispatch of partition {partition}" for partition in range(3)),
        "messaging-outbox",
        "messaging-outbox of tasks",
        "messaging-relay of partition 0",
        "messaging-relay of partition 1",
        "messaging-relay of partition 2",
    ]


def test_a_partition_that_only_others_know_of_is_stored_while_it_runs(
    database: str, start_listener: StartListener, settings: Settings
) -> None:
    """An old process with more partitions, in the midst of a deploy."""
    running = start_listener()
    eventually(lambda: running.listener.report().in_charge)
    _, body = prepare("c", 1)
    log.append(3, [(b"c", body)])
    eventually(lambda: stored(database) == [1])
    settings.MESSAGING = settings.MESSAGING | {"PARTITIONS": 5}  # for the check of what is left


def test_partitions_that_are_no_longer_written_to_are_drained(
    database: str, start_listener: StartListener, settings: Settings
) -> None:
    many = settings.MESSAGING | {"PARTITIONS": 5}
    settings.MESSAGING = many
    for n in range(30):
        messaging.publish(f"c{n}", n)
    settings.MESSAGING = many | {"PARTITIONS": 1}
    start_listener()
    eventually(lambda: sorted(stored(database)) == list(range(30)))
    messaging.publish("c7", 30)
    eventually(lambda: 30 in stored(database))
    settings.MESSAGING = many  # for the check of what is left
