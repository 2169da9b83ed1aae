"""Replay: what the table lacks is stored once, subscribers hear the bytes again, nothing is recorded twice."""

import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from pytest_django import Settings
from redis.client import PubSub
from redis.exceptions import RedisError

from messaging import connection, decoder, foreign, keys, log, publish, publish_many, storage
from messaging.event import Event
from messaging.log import START, Position
from messaging.models import Channel, Message
from messaging.relay import Relay
from messaging.replayer import publish_again
from messaging.restorer import restore
from messaging.span import LogChanged, Replay, Totals
from tests.conftest import Manage
from tests.integration.conftest import StartListener
from tests.servers import TestServer
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("broker")


ALL = Replay(START)


def filled(count: int, channel: str = "orders") -> list[Event]:
    """Messages in the log."""
    return publish_many([(channel, {"n": n}) for n in range(count)], outbox=False)


def relayed() -> None:
    """All of the log in the table."""
    for partition in log.partitions():
        relay = Relay(connection.client(), partition)
        relay.take_over()
        while not relay.caught_up:
            relay.step(block_ms=1)


def position(event: Event) -> Position:
    return Position.parse((event.location or "").partition(".")[2])


def last(steps: Iterator[Totals]) -> Totals:
    return list(steps)[-1]


def to_table(replay: Replay = ALL, **options: Any) -> Totals:
    return last(restore(connection.client(), replay, **options))


def to_subscribers(replay: Replay = ALL, **options: Any) -> Totals:
    return last(publish_again(connection.client(), replay, **options))


@pytest.fixture
def subscriber(broker: TestServer) -> PubSub:
    """Hears everything, from now on."""
    heard = broker.client().pubsub(ignore_subscribe_messages=True)
    heard.psubscribe("*")
    eventually(lambda: heard.get_message(timeout=30) is None, message="subscribed")
    return heard


def messages(subscriber: PubSub) -> list[tuple[str, bytes]]:
    found = iter(lambda: subscriber.get_message(timeout=0.3), None)
    return [(each["channel"].decode(), each["data"]) for each in found]


# -- to the table -------------------------------------------------------------------------------------------------


def test_rows_that_are_missing_are_stored_as_the_relay_would(database: str) -> None:
    filled(1200)
    relayed()
    rows = list(Message.objects.using(database).in_log_order())
    gone = rows[100:900]
    Message.objects.using(database).filter(pk__in=[row.pk for row in gone]).delete()
    Channel.objects.using(database).all().delete()
    totals = to_table()
    assert (totals.read, totals.wanted, totals.done, totals.known) == (1200, 1200, 800, 400)
    again = list(Message.objects.using(database).in_log_order())
    same = ("event_id", "source", "channel", "payload", "epoch", "partition", "log_ms", "log_seq", "time")
    assert [[getattr(row, name) for name in same] for row in again] == [
        [getattr(row, name) for name in same] for row in rows
    ]
    assert Channel.objects.using(database).get().name == "orders"
    assert to_table().done == 0


def test_only_the_span_and_the_channels_that_are_asked_for(database: str) -> None:
    events = filled(10)
    others = filled(5, "payments.made")
    totals = to_table(Replay(position(events[3]), position(others[1]), ["pay*", "x"]))
    assert (totals.read, totals.wanted, totals.done) == (8, 2, 2)
    assert totals.first == position(others[0])
    assert set(Message.objects.using(database).values_list("channel", flat=True)) == {"payments.made"}
    totals = to_table(Replay(position(events[3]), position(events[5])))
    assert [row.data["n"] for row in Message.objects.using(database).filter(channel="orders")] == [4, 5]


def test_a_pending_row_is_settled(database: str) -> None:
    event = publish("orders", 1, outbox=True)
    assert to_table().done == 1
    row = Message.objects.using(database).get()
    assert (row.event_id, row.is_pending) == (event.id, False)


def test_the_relay_that_comes_later_stores_nothing_twice(database: str) -> None:
    filled(20)
    assert to_table().done == 20
    relayed()
    assert Message.objects.using(database).count() == 20


def test_an_event_that_stands_in_the_log_twice_is_stored_once(database: str, broker: TestServer) -> None:
    filled(3)
    for _, fields in broker.client().xrange(keys.log(0)):
        broker.client().xadd(keys.log(0), fields)
    totals = to_table()
    assert (totals.read, totals.done, totals.known) == (6, 3, 3)
    assert Message.objects.using(database).count() == 3


def test_entries_that_are_no_events_are_counted(database: str, broker: TestServer) -> None:
    filled(2)
    broker.client().xadd(keys.log(0), {"e": "nonsense"})
    broker.client().xadd(keys.log(0), {"x": "y"})
    totals = to_table()
    assert (totals.read, totals.unreadable, totals.done) == (4, 2, 2)


def test_a_row_that_the_database_refuses_is_left_out_alone(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = filled(50)
    store = storage.store

    def picky(cursor: Any, rows: Any, **more: Any) -> None:
        if any(row[0] == events[17].id for row in rows):
            raise DatabaseError("no")
        store(cursor, rows, **more)

    monkeypatch.setattr(storage, "store", picky)
    totals = to_table()
    assert (totals.done, totals.refused) == (49, 1)
    assert Message.objects.using(database).count() == 49


@pytest.mark.parametrize("kind", storage.NO_ROW_AT_FAULT)
def test_no_row_is_left_out_because_the_database_is_away_or_unwell(
    sqlite: str, monkeypatch: pytest.MonkeyPatch, kind: type[DatabaseError]
) -> None:
    def unwell(*arguments: Any, **options: Any) -> None:
        raise kind("no")

    filled(3)
    with monkeypatch.context() as patch:
        patch.setattr(storage, "store", unwell)
        with pytest.raises(kind):
            to_table()
    assert to_table().done == 3


def test_a_dry_run_stores_nothing(database: str) -> None:
    filled(5)
    assert to_table(dry_run=True).done == 5
    assert not Message.objects.using(database).exists()


def test_all_partitions(database: str, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"PARTITIONS": 3}
    for n in range(30):
        publish(f"channel{n}", n, outbox=False)
    assert to_table().done == 30


def test_a_log_that_is_born_anew_meanwhile_ends_it(database: str, broker: TestServer) -> None:
    filled(300)
    steps = restore(connection.client(), Replay(START))
    next(steps)
    broker.client().set(keys.epoch(0), "f" * 16)
    with pytest.raises(LogChanged):
        next(steps)


def test_what_comes_while_it_runs_is_not_waited_for(database: str) -> None:
    filled(150)
    steps = restore(connection.client(), Replay(START))
    next(steps)
    filled(50)
    assert last(steps).read == 150


# -- to subscribers -----------------------------------------------------------------------------------------------


def test_subscribers_hear_the_stored_bytes_again(sqlite: str, broker: TestServer, subscriber: PubSub) -> None:
    filled(3)
    publish("logo", b"\x00\xff", outbox=False, key="k", headers={"shop": "7"})
    first = messages(subscriber)
    assert len(first) == 4
    totals = to_subscribers()
    assert messages(subscriber) == first
    assert (totals.done, totals.heard, totals.from_table) == (4, 4, 0)


def test_what_the_log_has_no_more_comes_from_the_table(
    database: str, broker: TestServer, subscriber: PubSub
) -> None:
    filled(700)
    first = messages(subscriber)
    relayed()
    broker.client().xtrim(keys.log(0), maxlen=50, approximate=False)
    totals = to_subscribers()
    assert messages(subscriber) == first
    assert (totals.done, totals.from_table) == (700, 650)


def test_a_log_that_is_trimmed_meanwhile(sqlite: str, broker: TestServer, subscriber: PubSub) -> None:
    filled(900)
    first = messages(subscriber)
    relayed()
    steps = publish_again(connection.client(), Replay(START), batch=50)
    next(steps)
    broker.client().xtrim(keys.log(0), maxlen=10, approximate=False)
    assert last(steps).done == 900
    assert messages(subscriber) == first


def test_a_log_that_is_empty(sqlite: str, broker: TestServer, subscriber: PubSub) -> None:
    filled(20)
    first = messages(subscriber)
    relayed()
    broker.client().xtrim(keys.log(0), maxlen=0, approximate=False)
    assert to_subscribers().from_table == 20
    assert messages(subscriber) == first


def test_a_listener_of_ours_does_not_record_them_again(
    database: str, broker: TestServer, start_listener: StartListener
) -> None:
    filled(30)
    relayed()
    broker.client().xtrim(keys.log(0), maxlen=10, approximate=False)
    Message.objects.using(database).filter(log_seq__gte=0).update(epoch="e" * 16)  # of an earlier life
    running = start_listener(channels=["*"])
    entries = broker.client().xlen(keys.log(0))
    totals = to_subscribers()
    assert totals.from_table == 20
    assert totals.heard == 30  # by that listener
    broker.client().publish("foreign", "the end")
    eventually(lambda: running.listener.report().captured == 1, message="the foreign message is captured")
    assert broker.client().xlen(keys.log(0)) == entries + 1


def test_without_a_log_nobody_could_tell_them_from_new_ones(sqlite: str, broker: TestServer) -> None:
    filled(3)
    relayed()
    broker.client().flushall()
    with pytest.raises(LogChanged, match="publish a message first"):
        to_subscribers()
    publish("orders", "the first of the new log", outbox=False)
    assert to_subscribers().done == 4


def test_several_partitions_in_the_order_of_the_log(
    sqlite: str, broker: TestServer, subscriber: PubSub, settings: Settings
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"PARTITIONS": 3, "CHANNEL_PREFIX": "shop:"}
    for n in range(40):
        publish(f"channel{n % 8}", n, outbox=False)
    first = messages(subscriber)
    relayed()
    broker.client().xtrim(keys.log(0), maxlen=1, approximate=False)
    assert to_subscribers(batch=7).done == 40
    again = messages(subscriber)
    assert sorted(again) == sorted(first)
    for channel in {name for name, _ in first}:
        assert [each for each in again if each[0] == channel] == [
            each for each in first if each[0] == channel
        ]
        assert channel.startswith("shop:")


def test_a_channel_whose_name_could_not_be_stored(
    sqlite: str, broker: TestServer, subscriber: PubSub, start_listener: StartListener
) -> None:
    start_listener(channels=["*"])
    broker.client().publish("odd name", "x")
    eventually(lambda: Message.objects.using(sqlite).count() == 1)
    messages(subscriber)
    to_subscribers()
    ((channel, body),) = messages(subscriber)
    assert channel == "odd name"
    assert foreign.own_epoch(body)
    assert decoder.decode(body).data == "x"


def test_a_span_and_channels(sqlite: str, subscriber: PubSub) -> None:
    events = filled(10)
    publish("payments", 1, outbox=False)
    relayed()
    messages(subscriber)
    totals = to_subscribers(Replay(position(events[4]), None, ["order?"]))
    assert [msgspec.json.decode(body)["data"]["n"] for _, body in messages(subscriber)] == [5, 6, 7, 8, 9]
    assert (totals.read, totals.wanted) == (6, 5)
    totals = to_subscribers(Replay(position(events[1]), position(events[2])))
    assert totals.done == 1


def test_a_dry_run_publishes_nothing(sqlite: str, subscriber: PubSub) -> None:
    filled(5)
    messages(subscriber)
    assert to_subscribers(dry_run=True).done == 5
    assert messages(subscriber) == []


def test_a_publish_that_is_refused_is_counted(sqlite: str, broker: TestServer, settings: Settings) -> None:
    filled(3)
    broker.client().execute_command(
        "ACL", "SETUSER", "limited", "reset", "on", ">s", "+@all", "~*", "&messaging:*"
    )
    settings.MESSAGING = settings.MESSAGING | {"URL": f"unix://limited:s@{broker.socket}?db=0"}
    connection.reset()
    totals = to_subscribers()
    assert (totals.done, totals.refused) == (0, 3)
    broker.client().execute_command("ACL", "DELUSER", "limited")


def test_after_a_failure_it_can_go_on_where_it_was(
    sqlite: str, subscriber: PubSub, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(100)
    first = messages(subscriber)
    steps = publish_again(connection.client(), ALL, batch=10)
    done = [next(steps) for _ in range(3)][-1]
    with monkeypatch.context() as broken:
        broken.setattr("redis.client.Pipeline.execute", refuse)
        with pytest.raises(RedisError):
            list(steps)
    assert done.done == 30
    assert to_subscribers(Replay(done.at)).done == 70
    assert messages(subscriber) == first


def refuse(*args: object, **options: object) -> None:
    raise RedisError("gone")


# -- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def replay(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """`replay("--since", "1h", ...)` -> exit code, what it said."""

    def call(*arguments: str) -> tuple[int, str]:
        code: Any = 0
        try:
            call_command("messaging", "replay", *arguments)
        except SystemExit as end:
            code = end.code
        return code, capsys.readouterr().err

    return call


Call = Callable[..., tuple[int, str]]


def test_the_command_to_the_table(sqlite: str, replay: Call) -> None:
    filled(3)
    filled(2, "payments")
    code, said = replay("--since", "1h", "--channel", "orders", "--to", "table", "--dry-run")
    assert code == 0
    assert said.endswith(" on: 3 would be stored, 0 already there, 2 of other channels.\n")
    code, said = replay("--since", "0-0", "--to", "table")
    assert code == 0
    assert said.startswith("5 entries read, wanted from ")
    assert said.endswith(" on: 5 stored, 0 already there.\n")


def test_the_command_to_subscribers(
    sqlite: str, broker: TestServer, subscriber: PubSub, replay: Call
) -> None:
    began = datetime.now(UTC) - timedelta(seconds=1)
    filled(3)
    messages(subscriber)
    code, said = replay("--since", began.isoformat(), "--to", "subscribers", "--rate", "30")
    assert code == 0
    assert "3 messages published again, 3 deliveries to subscribers.\n" in said
    assert len(messages(subscriber)) == 3
    subscriber.punsubscribe()
    messages(subscriber)
    code, said = replay("--since", "1h", "--to", "subscribers")
    assert (code, said.splitlines()[-1]) == (0, "Nobody was listening.")


def test_the_command_without_redis(sqlite: str, broker: TestServer, replay: Call) -> None:
    broker.stop()
    code, said = replay("--since", "1h", "--to", "table")
    assert code == 1
    assert said.splitlines()[-1].endswith(". Do it again: what is stored stays.")
    broker.revive()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--since", "5m", "--until", "10m", "--to", "table"),
        ("--since", "5m", "--to", "table", "--rate", "5"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...], replay: Call) -> None:
    assert replay(*arguments)[0] == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("--since", "yesterday", "--to", "table"),
        ("--since", "99999999999999999999-0", "--to", "table"),
        ("--since", f"{2**63}-0", "--to", "table"),  # no row can say that it stands there
        ("--since", "1h", "--to", "table", "--rate", "-1"),
        ("--since", "1h"),
        ("--to", "table"),
    ],
)
def test_what_cannot_be_read_is_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        call_command("messaging", "replay", *arguments)


@pytest.mark.django_db(transaction=True)
def test_ended_by_a_signal_it_says_how_to_go_on(
    manage: Manage, broker: TestServer, subscriber: PubSub
) -> None:
    filled(200)
    first = messages(subscriber)
    process = manage("messaging", "replay", "--since", "1h", "--to", "subscribers", "--rate", "5", tty=True)
    process.wait_for(r"\d+ read, \S+/s, [1-9]\d* done")
    process.signal(signal.SIGINT)
    assert process.wait() == 1
    found = process.wait_for(r"Ended before its end\. Go on with --since (\d+-\d+)\.")
    rest = manage("messaging", "replay", "--since", found[1], "--to", "subscribers", "--rate", "0")
    assert rest.wait() == 0
    assert messages(subscriber) == first
