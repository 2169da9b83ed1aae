"""The quarantine: what was refused is stored again under its position, or stays; never both, never neither."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import DatabaseError, DataError, transaction

import messaging
from messaging import connection, keys, quarantine, storage
from messaging.models import Channel, Message, Quarantine
from tests.commands import run
from tests.integration.relaying import relay_all, stored

pytestmark = pytest.mark.usefixtures("broker")


@pytest.fixture
def picky(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Until it is undone, the database refuses rows of the channel `odd`."""
    store = storage.store

    def refusing(cursor: Any, rows: Any, **options: Any) -> None:
        if any(row[2] == "odd" for row in rows):
            raise DataError("too odd")
        store(cursor, rows, **options)

    patch = pytest.MonkeyPatch()
    patch.setattr(storage, "store", refusing)
    return patch


def held(alias: str) -> list[Quarantine]:
    return list(Quarantine.objects.using(alias).order_by("pk"))


def retried(*ids: int) -> list[str]:
    return [each.reason for each in quarantine.retry(ids)]


def test_what_the_database_takes_now_is_stored_in_its_place(database: str, picky: pytest.MonkeyPatch) -> None:
    events = messaging.publish_many([("c", 1), ("odd", 2), ("c", 3)])
    try:
        relay_all()
        (row,) = held(database)
        assert row.reason == "refused by the database: too odd"
        assert retried(row.pk) == ["refused by the database: too odd"]
        assert (len(held(database)), stored(database)) == (1, [1, 3])
    finally:
        picky.undo()
    assert retried(row.pk) == [""]
    assert (held(database), stored(database)) == ([], [1, 2, 3])
    found = Message.objects.using(database).get(channel="odd")
    assert (found.location, found.epoch) == (events[1].location, row.epoch)
    assert found.as_event() == events[1]
    assert Channel.objects.using(database).filter(name="odd").exists()
    assert retried(row.pk) == []


def test_what_is_no_event_stays_with_its_new_reason(database: str) -> None:
    connection.client().xadd(keys.log(0), {"e": b"\xff"})
    relay_all()
    Quarantine.objects.using(database).update(reason="of an older version")
    (row,) = held(database)
    (reason,) = retried(row.pk)
    assert "UTF-8" in reason
    assert held(database)[0].reason == reason


def test_an_event_that_is_in_the_table_already_leaves_without_a_second_row(database: str) -> None:
    event = messaging.publish("c", 1)
    relay_all()
    body = connection.client().xrange(keys.log(0))[0][1][b"e"]
    kept_aside(database, body)
    assert retried(held(database)[0].pk) == [""]
    assert Message.objects.using(database).get().location == event.location
    assert held(database) == []


def test_it_settles_an_outbox_row(database: str) -> None:
    with transaction.atomic(using=database):
        messaging.publish("c", 1)
    body = connection.client().xrange(keys.log(0))[0][1][b"e"]
    kept_aside(database, body)
    assert retried(held(database)[0].pk) == [""]
    row = Message.objects.using(database).get()
    assert (row.is_pending, row.location) == (False, "0.5-7")


@pytest.mark.parametrize("kind", storage.NO_ROW_AT_FAULT)
def test_a_database_that_is_away_or_unwell_changes_nothing(
    database: str, monkeypatch: pytest.MonkeyPatch, kind: type[DatabaseError]
) -> None:
    messaging.publish("c", 1)
    kept_aside(database, connection.client().xrange(keys.log(0))[0][1][b"e"], reason="as it was")

    def unwell(*arguments: object, **options: object) -> None:
        raise kind("current transaction is aborted")

    monkeypatch.setattr(storage, "store", unwell)
    with pytest.raises(kind):
        retried(held(database)[0].pk)
    assert [row.reason for row in held(database)] == ["as it was"]


def test_many_are_retried_in_bounded_transactions_and_discarded(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "GROUP", 4)
    monkeypatch.setattr(quarantine, "GROUP_BYTES", 30)
    for n in range(10):
        kept_aside(database, b"{" * n, seq=n)
    ids = [row.pk for row in held(database)]
    assert [len(group) for group in quarantine._groups(ids)] == [4, 4, 2]
    assert len(retried(*ids)) == 10
    assert quarantine.discard(ids[:5]) == 5
    assert [row.pk for row in held(database)] == ids[5:]


def kept_aside(alias: str, body: bytes, *, seq: int = 7, reason: str = "?") -> None:
    Quarantine.objects.using(alias).create(
        partition=0, epoch="e" * 16, log_ms=5, log_seq=seq, reason=reason, body=body,
        quarantined_at=datetime(2026, 1, 2, tzinfo=UTC),
    )  # fmt: skip


# -- the command -------------------------------------------------------------------------------------------------


def command(*arguments: str) -> tuple[int, str]:
    ran = run("messaging", "quarantine", *arguments)
    return ran.code, ran.out + ran.err


def test_the_command_lists_with_a_filter(sqlite: str) -> None:
    assert command("list") == (0, "Nothing is in quarantine.\n")
    kept_aside(sqlite, b"12345", seq=1, reason="not JSON \x1b[31m")
    kept_aside(sqlite, b"1", seq=2, reason="refused")
    code, said = command("list")
    assert code == 0
    assert "0.5-1" in said
    assert "not JSON \\x1b[31m" in said
    (found,) = run("messaging", "quarantine", "list", "--json", "--reason", "json").objects
    assert (found["location"], found["bytes"], found["epoch"]) == ("0.5-1", 5, "e" * 16)
    assert command("list", "--limit", "1")[1].endswith("The oldest 1 are listed; --limit shows more.\n")
    assert command("list", "--reason", "x")[1] == "Nothing matches.\n"
    first, second = (row.pk for row in held(sqlite))
    assert command("list", "999", "998") == (1, "Not in quarantine: 998, 999.\n")
    code, said = command("list", str(second), str(first), "999", "--reason", "refused")
    assert code == 1
    assert "0.5-2" in said
    assert said.endswith(f"Not in quarantine: {first}, 999.\n")
    assert command("list", "--limit", "0")[0] == command("list", "--limit", "-1")[0] == 2
    assert command("discard", "--all", str(first))[0] == 2


def test_the_command_retries_and_discards(sqlite: str) -> None:
    messaging.publish("c", 1)
    kept_aside(sqlite, connection.client().xrange(keys.log(0))[0][1][b"e"], seq=1)
    kept_aside(sqlite, b"nonsense", seq=2)
    good, bad = (row.pk for row in held(sqlite))
    assert command("retry")[0] == command("discard")[0] == 2
    assert command("retry", "--all", "--dry-run") == (0, "2 entries would be tried.\n")
    code, said = command("retry", "--all")
    assert code == 1
    assert said.startswith("1 entry stored, 1 entry refused again: not JSON") or "refused again" in said
    assert stored(sqlite) == [1]
    assert command("retry", str(good)) == (1, f"0 entries stored.\nNot in quarantine: {good}.\n")
    assert command("discard", str(bad)) == (0, "1 entry discarded.\n")
    assert held(sqlite) == []
