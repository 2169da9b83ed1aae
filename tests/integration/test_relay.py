"""The relay: every entry becomes one row, whatever happens. Each proof is shown to fail on a known-bad relay."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    OperationalError,
    connections,
    transaction,
)
from pytest_django import Settings

import messaging
from messaging import connection, keys, log, relay, storage
from messaging.continuity import Stand
from messaging.cursors import LostFence
from messaging.event import encode, new_event
from messaging.models import Channel, Cursor, Gap, Message, Quarantine
from messaging.relay import Relay
from tests.integration.relaying import drain, logged, new_relay, relay_all, stored
from tests.servers import TestServer
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("broker")


@pytest.fixture
def client() -> redis.Redis:
    return connection.client()


def publish(*data: object, channel: str = "c") -> list[messaging.Event]:
    return messaging.publish_many([(channel, each) for each in data])


def add(client: redis.Redis, body: bytes | dict[Any, Any], *, id: str = "*", partition: int = 0) -> None:
    """Somebody else's entry."""
    client.xadd(keys.log(partition), body if isinstance(body, dict) else {"e": body}, id=id)


def gaps(alias: str) -> list[str]:
    return [gap.reason for gap in Gap.objects.using(alias).order_by("pk")]


# -- once, in order, whole ---------------------------------------------------------------------------------------


def test_every_entry_becomes_one_row_that_is_the_event(database: str) -> None:
    events = publish(*range(2500))
    events.append(messaging.publish("Ünï", "text", type="t", key="k", headers={"h": "v"}, correlation_id="x"))
    events.append(messaging.publish("b", b"\x00\xff"))
    relay_all()
    rows = list(Message.objects.using(database).in_log_order())
    assert [row.as_event() for row in rows] == events
    assert {row.epoch for row in rows} == {log.bounds(connection.client(), 0).epoch}
    assert all(row.stored_at and row.stored_at - row.time < timedelta(minutes=5) for row in rows)


def test_the_channels_that_were_seen_are_noted_once(database: str) -> None:
    messaging.publish_many([(f"c{n % 5}", n) for n in range(50)])
    relay_all()
    messaging.publish("c9", 1)
    relay_all()
    assert list(Channel.objects.using(database).values_list("name", flat=True)) == [
        "c0",
        "c1",
        "c2",
        "c3",
        "c4",
        "c9",
    ]


def test_a_new_relay_goes_on_where_the_last_one_stood(database: str) -> None:
    publish(1, 2)
    relay_all()
    publish(3)
    second = relay_all()
    assert second.stored == 1
    assert stored(database) == [1, 2, 3]


def test_an_event_that_is_in_the_log_twice_is_stored_once(database: str) -> None:
    event = new_event("c", 1, source="/s")
    for _ in range(3):
        log.append(0, [(b"c", encode(event))] * 2)
    log.append(0, [(b"c", encode(new_event("c", 2, source="/s")))])
    relay_all()
    assert stored(database) == [1, 2]
    first = log.between(connection.client(), 0, log.START, None, count=1)[0]
    assert Message.objects.using(database).get(event_id=event.id).location == first.location


def test_two_publishers_may_use_the_same_id(database: str) -> None:
    for source in ("/a", "/b"):
        log.append(0, [(b"c", encode(new_event("c", source, source=source, id="7")))])
    relay_all()
    assert sorted(stored(database)) == ["/a", "/b"]  # type: ignore[type-var]


def test_partitions_are_relayed_each_from_its_own_place(database: str, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"PARTITIONS": 3}
    events = messaging.publish_many([(f"c{n % 7}", n) for n in range(100)])
    for partition in range(3):
        drain(new_relay(partition))
    assert Message.objects.using(database).count() == 100
    for channel in {event.channel for event in events}:
        rows = Message.objects.using(database).filter(channel=channel).in_log_order()
        assert [row.data for row in rows] == [event.data for event in events if event.channel == channel]


# -- two relays --------------------------------------------------------------------------------------------------


def race(first: Relay, second: Relay) -> None:
    """Both read the same batch; the second stores it first."""
    behind = first._read

    def read_and_be_overtaken(block_ms: int) -> Any:
        read = behind(block_ms)
        drain(second)
        return read

    first._read = read_and_be_overtaken  # type: ignore[method-assign]
    first.step(block_ms=1)


def test_of_two_relays_the_one_that_was_replaced_stores_nothing(database: str) -> None:
    publish(1, 2, 3)
    first, second = new_relay(), new_relay()
    with pytest.raises(LostFence):
        first.step(block_ms=1)
    assert stored(database) == []
    drain(second)
    assert stored(database) == [1, 2, 3]
    with pytest.raises(LostFence):
        first.reload()


def share(relay: Relay, database: str) -> None:
    """As if it had not raised the fence."""
    relay._cursor._fence = Cursor.objects.using(database).get().fence
    relay.reload()


def test_of_two_relays_with_one_fence_the_one_that_comes_second_rolls_back(database: str) -> None:
    publish(1, 2, 3)
    first, second = new_relay(), Relay(connection.client(), 0)
    share(second, database)
    drain(first)
    publish(4)
    first_again = Relay(connection.client(), 0)
    share(first_again, database)
    with pytest.raises(LostFence):
        race(first_again, first)
    assert stored(database) == [1, 2, 3, 4]
    assert Cursor.objects.using(database).get().log_ms == first.position.ms


def test_a_relay_that_froze_inside_its_transaction_does_not_keep_the_next_from_taking_over(
    postgresql: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"LEASE_SECONDS": 1.0}
    publish(1, 2)
    frozen, go_on = threading.Event(), threading.Event()
    store = storage.store

    def freeze(*arguments: Any, **options: Any) -> None:
        if not frozen.is_set():
            frozen.set()
            assert go_on.wait(40)
        store(*arguments, **options)

    def first() -> None:
        try:
            with pytest.raises(OperationalError):
                relay_all()
        finally:
            connections.close_all()

    def takes_over(relay: Relay) -> bool:
        with suppress(OperationalError):  # the lock is not old enough to be broken
            relay.take_over()
            return True
        return False

    monkeypatch.setattr(storage, "store", freeze)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(first)
        try:
            assert frozen.wait(20)
            second = Relay(connection.client(), 0)
            eventually(lambda: takes_over(second))
            drain(second)
        finally:
            go_on.set()
        running.result(20)
    assert stored(postgresql) == [1, 2]


def test_the_race_is_lost_without_the_compare_and_set(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The known-bad variant: the proof above must be able to fail."""

    def move_anyway(self: Relay, stand: Stand) -> None:
        Cursor.objects.using(database).update(
            epoch=stand.epoch, log_ms=stand.position.ms, log_seq=stand.position.seq
        )

    monkeypatch.setattr(Relay, "_move", move_anyway)
    publish(1, 2, 3)
    first, second = new_relay(), new_relay()
    drain(second)
    moved = Cursor.objects.using(database).get()
    first.step(
        block_ms=1
    )  # nobody stops it: it takes the log for new, and the cursor back to where it thinks it is
    assert Cursor.objects.using(database).get().log_ms <= moved.log_ms
    assert first.stored == 3
    assert stored(database) == [1, 2, 3]  # the unique ids hold all the same: two independent guards


def test_without_the_conflict_clause_a_repeated_event_is_refused(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The known-bad variant of the other guard."""
    for name in ("_SQLITE", "_POSTGRESQL"):
        statement = getattr(storage, name)
        monkeypatch.setattr(storage, name, statement[: statement.index("ON CONFLICT")])
    body = encode(new_event("c", 1, source="/s"))
    log.append(0, [(b"c", body)])
    relay_all()
    log.append(0, [(b"c", body)])
    relay_all()
    assert "refused by the database" in Quarantine.objects.using(database).get().reason


# -- crashes and outages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", ["_read", "_move", "_commit", "_trim"])
def test_a_relay_that_ends_anywhere_loses_and_repeats_nothing(
    database: str, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    class Killed(BaseException):
        pass

    def killed_behind(self: Relay, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        raise Killed

    original: Callable[..., Any] = getattr(Relay, at)
    for n in range(3):
        publish(n)
        dying = new_relay()
        with monkeypatch.context() as patch:
            patch.setattr(Relay, at, killed_behind)
            with pytest.raises(Killed):
                drain(dying)
    relay_all()
    assert stored(database) == [0, 1, 2]


def test_a_commit_whose_answer_was_lost_is_found_out(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(1, 2)
    ours = new_relay()
    store = Relay._commit

    def commit_and_lose_the_answer(self: Relay, *args: Any) -> None:
        before = self._stand
        store(self, *args)
        self._stand = before
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr(Relay, "_commit", commit_and_lose_the_answer)
        with pytest.raises(OperationalError):
            ours.step(block_ms=1)
    ours.reload()
    publish(3)
    drain(ours)
    assert stored(database) == [1, 2, 3]


@pytest.mark.parametrize("kind", storage.NO_ROW_AT_FAULT)
def test_a_batch_that_the_database_could_not_take_is_taken_later(
    database: str, monkeypatch: pytest.MonkeyPatch, kind: type[DatabaseError]
) -> None:
    def unwell(*args: Any, **options: Any) -> None:
        raise kind("database is locked")

    publish(1, 2)
    ours = new_relay()
    with monkeypatch.context() as patch:
        patch.setattr(storage, "store", unwell)
        for _ in range(3):
            with pytest.raises(kind):
                ours.step(block_ms=1)
            ours.reload()
    drain(ours)
    assert stored(database) == [1, 2]
    assert not Quarantine.objects.using(database).exists()


def test_a_cursor_that_somebody_deleted_ends_the_relay_and_the_next_reads_the_log_again(
    database: str,
) -> None:
    publish(1, 2)
    ours = relay_all()
    Cursor.objects.using(database).all().delete()
    publish(3)
    with pytest.raises(LostFence):
        ours.step(block_ms=1)
    with pytest.raises(LostFence):
        ours.reload()
    relay_all()
    assert stored(database) == [1, 2, 3]


# -- what cannot be stored ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (b"", "not a JSON object"),
        (b"\xff\x00", "not UTF-8"),
        (b"[" * 100_000, "not a JSON object"),
        (b'{"specversion":"0.3"}', "specversion"),
        (b'{"specversion":"1.0","id":"a\x00"}', "not a JSON object"),
        ({"x": "1"}, "no field 'e'"),
        ({b"\x00\xff": b"\x00"}, "no field 'e'"),
    ],
)
def test_an_entry_that_is_no_event_is_kept_aside_and_the_next_is_stored(
    database: str, client: redis.Redis, caplog: pytest.LogCaptureFixture, entry: Any, said: str
) -> None:
    publish(1)
    add(client, entry)
    publish(2)
    with caplog.at_level(logging.WARNING, "messaging.listen"):
        relay_all()
    assert stored(database) == [1, 2]
    kept = Quarantine.objects.using(database).get()
    raw = log.between(client, 0, log.START, None, count=9)[1]
    assert (bytes(kept.body), kept.location) == (raw.raw, raw.location)
    assert said in kept.reason
    assert [record.getMessage() for record in caplog.records] == [
        f"entry {kept.location} is in quarantine: {kept.reason}"
    ]


@pytest.fixture
def refusing(database: str) -> Iterator[str]:
    """The database refuses events whose key is "bad"."""
    table = Message._meta.db_table
    make = (
        f"CREATE TRIGGER refuse BEFORE INSERT ON {table} WHEN NEW.key = 'bad' "
        "BEGIN SELECT RAISE(ABORT, 'no bad keys'); END"
    )
    drop = "DROP TRIGGER refuse"
    if connections[database].vendor == "postgresql":
        make = f"ALTER TABLE {table} ADD CONSTRAINT refuse CHECK (key <> 'bad')"
        drop = f"ALTER TABLE {table} DROP CONSTRAINT refuse"
    with connections[database].cursor() as cursor:
        cursor.execute(make)
        yield database
        cursor.execute(drop)


def test_a_row_that_the_database_refuses_is_found_and_kept_aside_with_its_bytes(refusing: str) -> None:
    bad = {0, 13, 14, 99}
    messaging.publish_many(
        [{"channel": "c", "data": n, "key": "bad" if n in bad else "good"} for n in range(100)]
    )
    relay_all()
    assert stored(refusing) == [n for n in range(100) if n not in bad]
    kept = Quarantine.objects.using(refusing).order_by("log_ms", "log_seq")
    assert [json.loads(bytes(each.body))["data"] for each in kept] == sorted(bad)
    assert all("refused by the database" in each.reason for each in kept)


def test_what_is_kept_aside_is_kept_once_when_the_log_is_read_again(
    database: str, client: redis.Redis
) -> None:
    publish(1)
    add(client, b"no event")
    relay_all()
    Cursor.objects.using(database).update(log_ms=0, log_seq=0)
    relay_all()
    assert Quarantine.objects.using(database).count() == 1
    assert stored(database) == [1]


def test_text_that_postgresql_has_trouble_with_is_stored(database: str) -> None:
    odd = [
        "\x00",
        "\ufffe",
        "\U0010ffff",
        "\u2028",
        "%s",
        "\\",
        "'\"",
        "{}",
        "\x1f\x7f",
        "a\r\nb",
        "\\N",
        "\\x00",
    ]
    publish(*odd)
    messaging.publish("%s\"'{}$1", "%(x)s", type="\\N", key="%s", headers={"h": "\\x00'"})
    relay_all()
    assert stored(database) == [*odd, "%(x)s"]
    assert Message.objects.using(database).latest("pk").as_event().headers == {"h": "\\x00'"}


def test_a_time_at_either_end_of_the_calendar_is_stored(database: str, client: redis.Redis) -> None:
    event = json.loads(encode(new_event("c", 1, source="/s")))
    times = ["0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z", "2026-01-01T00:00:00Z"]
    for n, time in enumerate(times):
        add(client, json.dumps(event | {"id": str(n), "time": time, "data": time}).encode())
    relay_all()
    rows = Message.objects.using(database).order_by("event_id")
    assert [row.time.replace(tzinfo=None).isoformat() for row in rows] == [
        "0001-01-01T00:00:00", "9999-12-31T23:59:59.999999", "2026-01-01T00:00:00",
    ]  # fmt: skip
    assert Message.objects.using(database).get(time=rows[2].time).event_id == "2"


def test_an_entry_at_a_position_from_the_far_future_stops_nobody(database: str, client: redis.Redis) -> None:
    add(
        client,
        b'{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"c","data":1}',
        id="999999999999999-0",
    )
    publish(2)
    relay_all()
    assert stored(database) == [1, 2]


LARGEST = 2**63 - 1


@pytest.mark.parametrize(
    "at",
    [
        f"{LARGEST}-{LARGEST}",  # it can be stored, and no other one behind it
        f"{LARGEST + 1}-0",
        f"5-{LARGEST + 1}",
        f"{2**64 - 1}-{2**64 - 2}",
    ],
)
def test_an_entry_at_a_position_that_no_column_holds_stops_nobody(
    any_broker: TestServer, sqlite: str, client: redis.Redis, at: str
) -> None:
    if not at.startswith("5-"):
        publish(0)
    ours = relay_all()
    add(client, b'{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"c","data":1}', id=at)
    publish(2)
    drain(ours)
    publish(3)
    drain(ours)
    assert {1, 2, 3} <= set(stored(sqlite))
    relay_all()
    assert gaps(sqlite) == (["rolled back"] if at == f"{LARGEST}-{LARGEST}" else [])


def test_a_log_that_is_made_anew_keeps_entries_of_thousands_of_fields(
    sqlite: str, client: redis.Redis
) -> None:
    publish(1)
    client.execute_command("XADD", keys.log(0), "*", *map(str, range(9000)))
    publish(2)
    add(
        client,
        b'{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"c","data":3}',
        id=f"{2**63}-0",
    )
    relay_all()
    assert stored(sqlite) == [1, 2, 3]
    assert Quarantine.objects.using(sqlite).count() == 1
    entries = log.between(client, 0, log.START, None, count=10)
    assert [entry.body is None for entry in entries] == [False, True, False, False]
    assert entries[1].raw.endswith(b" 8998 8999")


# -- the size of a batch -----------------------------------------------------------------------------------------


def test_a_batch_shrinks_with_big_events_and_grows_with_small_ones(
    sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "BATCH_BYTES", 25_000)
    publish(*range(150), *["x" * 5000] * 500, *range(700))
    ours = new_relay()
    sizes: list[int] = []
    while sum(sizes) < 1350:
        sizes.append(ours.step(block_ms=1))
    smallest = min(sizes[:-1])
    assert smallest <= 6
    assert max(sizes[sizes.index(smallest) :]) > 50
    assert Message.objects.using(sqlite).count() == 1350


def test_a_batch_is_never_larger_than_the_setting(sqlite: str, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"BATCH_SIZE": 7}
    publish(*range(150))
    ours = new_relay()
    ours.step(block_ms=1)
    assert {ours.step(block_ms=1) for _ in range(5)} == {7}


# -- the log is cut ----------------------------------------------------------------------------------------------


def test_what_is_stored_is_trimmed_but_for_the_replay_window(
    sqlite: str, client: redis.Redis, settings: Settings
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"MAX_LOG_ENTRIES": 1000, "REPLAY_ENTRIES": 100}
    ours = new_relay()
    for start in range(0, 2000, 200):
        publish(*range(start, start + 200))
        drain(ours)
        assert 100 <= log.bounds(client, 0).entries <= 1000
    assert stored(sqlite) == list(range(2000))
    assert gaps(sqlite) == []


def test_what_is_stored_and_too_old_is_trimmed_though_nothing_comes(
    sqlite: str, client: redis.Redis, settings: Settings
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"REPLAY_SECONDS": 0.2}
    publish(*range(5))
    ours = relay_all()
    eventually(lambda: ours.step(block_ms=1) or log.bounds(client, 0).entries == 1)
    publish(5)
    drain(ours)
    assert stored(sqlite) == list(range(6))
    assert gaps(sqlite) == []


def test_a_busy_log_keeps_its_replay_window(sqlite: str, client: redis.Redis, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {
        "MAX_LOG_ENTRIES": 1000,
        "REPLAY_ENTRIES": 300,
        "BATCH_SIZE": 50,
    }
    ours = new_relay()
    publish(*range(400))
    for _ in range(20):  # always a few behind
        publish(*range(50))
        ours.step(block_ms=1)
    assert log.bounds(client, 0).entries >= 300


@pytest.mark.parametrize("replay", [1000, 100, 1, 0])
def test_a_full_log_takes_messages_again_once_they_are_stored(
    sqlite: str, settings: Settings, replay: int
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"MAX_LOG_ENTRIES": 1000, "REPLAY_ENTRIES": replay}
    publish(*range(1000))
    with pytest.raises(messaging.BrokerFull):
        publish(1000)
    relay_all()
    publish(1000)
    relay_all()
    assert stored(sqlite) == list(range(1001))
    assert gaps(sqlite) == []


def test_a_relay_that_ended_before_it_trimmed_does_not_leave_the_log_full(
    sqlite: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"MAX_LOG_ENTRIES": 100, "REPLAY_ENTRIES": 10}
    publish(*range(100))
    with monkeypatch.context() as patch:
        patch.setattr(Relay, "_trim", lambda self, stored: None)
        relay_all()
    relay_all()
    publish(100)


# -- the log is not what it was ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["flushall", "delete", "delete the epoch"])
def test_a_log_born_anew_is_read_from_its_start_and_the_gap_is_recorded(
    database: str, broker: TestServer, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    publish(1, 2)
    ours = relay_all()
    before = str(ours.position)
    admin = broker.client()
    if how == "flushall":
        admin.flushall()
    else:
        admin.delete(keys.log(0) if how == "delete" else keys.epoch(0))
    publish(3)
    drain(ours)
    publish(4)
    drain(ours)
    assert stored(database) == [1, 2, 3, 4]
    (gap,) = Gap.objects.using(database).all()
    assert (gap.reason, gap.from_position) == ("reborn", before)
    assert gap.from_epoch != gap.to_epoch
    assert len([record for record in caplog.records if "born anew" in record.getMessage()]) == 1


def test_a_log_that_is_gone_is_noticed_before_anything_new_comes(database: str, broker: TestServer) -> None:
    publish(1)
    ours = relay_all()
    broker.client().flushall()
    for _ in range(3):
        ours.step(block_ms=1)
    assert gaps(database) == ["reborn"]
    publish(2)
    drain(ours)
    assert gaps(database) == ["reborn"]
    assert stored(database) == [1, 2]


def test_without_the_check_of_the_epoch_a_rebirth_would_lose_messages(
    sqlite: str, broker: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The known-bad variant: a relay that goes on from where it stood."""
    monkeypatch.setattr(
        relay, "judge", lambda stood, now, run_id, found: ("", stood._replace(epoch=now.epoch), None)
    )
    add(broker.client(), encode(new_event("c", 1, source="/s")), id="99999999999999-0")
    ours = new_relay()
    for _ in range(3):
        ours.step(block_ms=1)
    broker.client().flushall()
    publish(2)
    for _ in range(3):
        ours.step(block_ms=1)
    assert stored(sqlite) == [1]


def test_a_server_that_came_back_without_its_last_entries_is_read_again(
    database: str, broker: TestServer, client: redis.Redis
) -> None:
    """As after a crash, or a failover to a replica that knew less and whose clock is behind."""
    publish(1)
    first = log.newest(client, 0, count=1)[0]
    publish(2, 3)
    ours = relay_all()
    epoch = client.get(keys.epoch(0))
    broker.client().flushall()
    client.set(keys.epoch(0), epoch)  # type: ignore[arg-type]
    add(client, first.body or b"", id=str(first.position))
    add(client, encode(new_event("c", 4, source="/s")), id=f"{first.position.ms}-{first.position.seq + 1}")
    drain(ours)
    assert sorted(stored(database)) == [1, 2, 3, 4]  # type: ignore[type-var]
    assert gaps(database) == ["rolled back"]
    publish(5)
    drain(ours)
    assert gaps(database) == ["rolled back"]


def test_entries_cut_off_before_they_were_read_are_recorded(database: str, client: redis.Redis) -> None:
    publish(1)
    ours = relay_all()
    publish(*range(2, 10))
    client.xtrim(keys.log(0), maxlen=3, approximate=False)
    drain(ours)
    assert stored(database) == [1, 7, 8, 9]
    (gap,) = Gap.objects.using(database).all()
    assert (gap.reason, gap.missed) == ("trimmed", 5)
    assert gap.to_position == str(log.bounds(client, 0).first)


def test_a_log_that_others_cut_after_it_was_read_has_no_gap(database: str, client: redis.Redis) -> None:
    publish(1, 2)
    ours = relay_all()
    for n in range(3, 6):
        client.xtrim(keys.log(0), maxlen=0, approximate=False)
        drain(ours)
        publish(n)
        drain(ours)
    assert stored(database) == [1, 2, 3, 4, 5]
    assert gaps(database) == []


def test_a_restart_of_the_server_under_the_relay_is_recorded_once(database: str, broker: TestServer) -> None:
    publish(1)
    ours = relay_all()
    broker.restart()
    publish(2)
    drain(ours)
    drain(ours)
    assert stored(database) == [1, 2]
    assert gaps(database) == ["restarted"]
    drain(new_relay())
    assert gaps(database) == ["restarted"]


def test_a_server_that_was_ended_after_everybody_else_is_not_suspected(
    database: str, broker: TestServer
) -> None:
    publish(1)
    relay_all()
    broker.client().set(keys.ended_in_order(), broker.client().info("server")["run_id"])
    broker.restart()
    publish(2)
    relay_all()
    assert stored(database) == [1, 2]
    assert gaps(database) == []
    broker.restart()  # and nobody said that this one was ended in order
    publish(3)
    relay_all()
    assert gaps(database) == ["restarted"]


def test_a_restart_of_the_server_between_two_relays_is_recorded(database: str, broker: TestServer) -> None:
    """The position may be older than what the server has lost: nothing but the run id tells."""
    publish(1)
    relay_all()
    broker.restart()
    publish(2)
    relay_all()
    relay_all()
    assert gaps(database) == ["restarted"]
    assert stored(database) == [1, 2]


def test_a_user_who_may_not_ask_for_the_run_id_relays_all_the_same(
    database: str, broker: TestServer, settings: Settings
) -> None:
    admin = broker.client()
    admin.execute_command("ACL", "SETUSER", "relay", "reset", "on", ">secret", "+@all", "-info", "~*", "&*")
    settings.MESSAGING = settings.MESSAGING | {
        "URL": broker.tcp_url.replace("redis://", "redis://relay:secret@")
    }
    connection.reset()
    try:
        publish(1)
        relay_all()
        assert stored(database) == [1]
    finally:
        connection.reset()
        admin.execute_command("ACL", "DELUSER", "relay")


def test_a_log_of_another_type_is_an_error_until_it_is_gone(database: str, client: redis.Redis) -> None:
    client.set(keys.log(0), "something else")
    ours = new_relay()
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        ours.step(block_ms=1)
    client.delete(keys.log(0))
    publish(1)
    drain(ours)
    assert stored(database) == [1]


# -- the statement that stores -----------------------------------------------------------------------------------


def test_a_pending_row_is_settled_and_a_stored_one_left_alone(database: str) -> None:
    with transaction.atomic(using=database):
        event = messaging.publish("c", 1)
    pending = Message.objects.using(database).get()
    relay_all()
    settled = Message.objects.using(database).get()
    assert (settled.pk, settled.queued_at, settled.sends) == (pending.pk, pending.queued_at, 1)
    log.append(0, [(b"c", encode(event))])
    relay_all()
    again = Message.objects.using(database).get()
    assert (again.location, again.stored_at) == (settled.location, settled.stored_at)


def test_any_other_refusal_stays_an_error(database: str) -> None:
    entry = log.Entry(0, log.Position(1, 0), b"", ())
    row = list(storage.row_of(entry, new_event("c", 1, source="/s")))
    row[2] = None  # no channel
    with (
        pytest.raises((IntegrityError, DataError)),
        transaction.atomic(using=database),
        connections[database].cursor() as cursor,
    ):
        storage.store(
            cursor, [tuple(row)], epoch="e" * 16, partition=0, stored_at=new_event("c", 1, source="/s").time
        )
    assert logged() == []
