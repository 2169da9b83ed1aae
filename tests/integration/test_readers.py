"""The registry of readers: nothing is trimmed that one has not read, until it is retired."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections, transaction
from pytest_django import Settings

import messaging
from messaging import connection, doctor, keys, log, readers
from messaging.log import START, Position
from messaging.models import Cursor
from messaging.readers import retire, slowest, standings
from tests.commands import run
from tests.integration.relaying import drain, new_relay, relay_all
from tests.servers import TestServer

pytestmark = pytest.mark.usefixtures("broker")


def long_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=2)


@pytest.fixture(autouse=True)
def short_window(settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"REPLAY_ENTRIES": 5, "MAX_LOG_ENTRIES": 100_000}


def publish(count: int) -> list[Position]:
    """So many entries; their positions."""
    events = messaging.publish_many([("c", n) for n in range(count)])
    return [Position.parse((event.location or "").partition(".")[2]) for event in events]


def old(count: int) -> None:
    """Entries of two hours ago, in a log of that time."""
    at = int(long_ago().timestamp() * 1000)
    connection.client().set(keys.epoch(0), "e" * 16)
    for n in range(count):
        connection.client().xadd(keys.log(0), {"e": "{}"}, id=f"{at}-{n}")


def register(alias: str, name: str, position: Position = START, **fields: object) -> Cursor:
    given = {"epoch": log.bounds(connection.client(), 0).epoch, "moved_at": datetime.now(UTC)} | fields
    return Cursor.objects.using(alias).create(
        reader=name, partition=0, log_ms=position.ms, log_seq=position.seq, **given
    )


def left() -> int:
    return log.bounds(connection.client(), 0).entries


def test_the_log_is_trimmed_behind_the_slowest(database: str) -> None:
    positions = publish(60)
    register(database, "slow", positions[19])
    register(database, "fast", positions[59])
    relay = relay_all()
    epoch = log.bounds(connection.client(), 0).epoch
    assert slowest(0, epoch, relay.position) == positions[19]
    assert left() == 60 - 19  # the one it stands at stays
    Cursor.objects.using(database).filter(reader="slow").update(
        log_ms=positions[49].ms, log_seq=positions[49].seq
    )
    relay_all()
    assert left() == 60 - 49
    assert retire("slow") == 1
    relay_all()
    assert left() == 5


def test_without_the_registry_it_would_be_trimmed_behind_the_relay(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The known-bad variant."""
    positions = publish(60)
    register(database, "slow", positions[19])
    monkeypatch.setattr("messaging.relay.slowest", lambda partition, epoch, position: position)
    relay_all()
    assert left() == 5


def test_a_position_counts_once_its_transaction_is_committed(database: str) -> None:
    positions = publish(60)
    row = register(database, "dispatch", positions[0])
    relay = relay_all()
    with pytest.raises(ZeroDivisionError), transaction.atomic(using=database):  # noqa: PT012
        row.log_ms, row.log_seq = positions[59]
        row.save(using=database)
        raise ZeroDivisionError
    assert slowest(0, row.epoch, relay.position) == positions[0]


def test_a_reader_that_has_not_seen_this_log_yet_holds_all_of_it(database: str, broker: TestServer) -> None:
    publish(5)
    register(database, "dispatch", Position(9**15, 0))
    relay_all()
    broker.client().flushall()
    publish(60)
    relay_all()
    assert left() == 60


def test_other_partitions_are_not_held_up(database: str) -> None:
    assert slowest(1, "e", Position(7, 0)) == Position(7, 0)
    register(database, "dispatch")
    assert slowest(1, "e", Position(7, 0)) == Position(7, 0)


# -- silence -----------------------------------------------------------------------------------------------------


def silent(alias: str) -> dict[str, bool]:
    return {each.reader: each.is_silent for each in standings(connection.client())}


def test_silent_is_who_has_something_to_read_and_does_not_move(database: str) -> None:
    old(10)
    end = log.bounds(connection.client(), 0).last
    register(database, "stuck", moved_at=long_ago())
    register(database, "working", moved_at=datetime.now(UTC))
    register(database, "done", end, moved_at=long_ago())
    assert silent(database) == {"stuck": True, "working": False, "done": False}
    publish(1)  # news: who was at the end has only just got something to read
    assert silent(database) == {"stuck": True, "working": False, "done": False}


def test_it_is_retired_by_itself_only_where_that_is_asked_for(database: str, settings: Settings) -> None:
    old(60)
    register(database, "stuck", moved_at=long_ago())
    relay_all()
    assert left() == 60
    settings.MESSAGING = settings.MESSAGING | {"READER_RETIRE_SECONDS": 3600}
    drain(new_relay())
    assert left() == 5
    assert [cursor.reader for cursor in Cursor.objects.using(database).all()] == ["relay"]


def test_the_relay_is_never_retired(database: str, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"READER_RETIRE_SECONDS": 1}
    old(3)
    register(database, "relay", moved_at=long_ago())
    assert readers.retire_silent(connection.client(), 0) == []
    with pytest.raises(ValueError, match="cannot be retired"):
        retire("relay")


# -- where it is shown -------------------------------------------------------------------------------------------


def test_commands_and_the_doctor_show_it(sqlite: str) -> None:
    assert "Nobody reads the log" in run("messaging", "readers").err
    old(3)
    register(sqlite, "relay", log.bounds(connection.client(), 0).last)
    assert run("messaging", "readers").code == 0
    register(sqlite, "stuck", moved_at=long_ago())
    ran = run("messaging", "readers")
    assert ran.code == 4
    assert "relay/0  " in ran.out
    assert "at the end" in ran.out
    assert "stuck/0  nothing yet  7," in ran.out
    assert "silent for 7," in ran.out
    found = {each["reader"]: each for each in run("messaging", "readers", "--json").objects}
    assert found["relay"]["behind_seconds"] == 0.0
    assert found["stuck"]["silent_seconds"] > 7000  # type: ignore[operator]
    ran = run("messaging", "status")
    assert ran.code == 4
    assert "manage.py messaging retire stuck" in ran.out
    assert {each["reader"] for each in json.loads(run("messaging", "status", "--json").out)["readers"]} == {
        "relay",
        "stuck",
    }
    (section,) = (each for each in doctor.examine().sections if each.name == "Messages")
    (finding,) = (each for each in section.findings if each.topic == "readers")
    assert (finding.level, finding.command) == ("problem", "manage.py messaging retire stuck")
    assert run("messaging", "retire", "relay").code == 2
    assert run("messaging", "retire", "nobody").code == 1
    assert run("messaging", "retire", "stuck").code == 0
    assert run("messaging", "readers").code == 0
    connections[sqlite].close()
