"""Ordered channels: messages leave in the order of the commits, through races, losses and restarts.

Each proof is shown to fail without the mechanism that it is about.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from django.db import connections, transaction
from pytest_django import Settings

import messaging
from messaging import connection, log, ordered, outbox
from messaging.errors import BrokerUnavailable, InvalidAttribute
from messaging.models import Message
from messaging.ordered import OrderedSender
from messaging.relay import Relay
from tests.integration.conftest import StartListener
from tests.integration.relaying import drain, logged, new_relay, pending, relay_all, stored, sweep
from tests.servers import TestServer
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("broker")


class RolledBack(Exception):
    """Ends a transaction."""


@pytest.fixture(autouse=True)
def ordered_channels(settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"ORDERED_CHANNELS": ["o", "o.*"], "OUTBOX_GRACE_SECONDS": 0.0}


def publish(data: object, channel: str = "o") -> messaging.Event:
    return messaging.publish(channel, data)


def send(sender: OrderedSender, relay: Relay) -> int:
    return sender.step({relay.partition: relay.position})


def send_all(relay: Relay, sender: OrderedSender | None = None) -> None:
    """Until nothing waits."""
    sender = sender or OrderedSender(connection.client())
    for _ in range(200):
        sent = send(sender, relay)
        drain(relay)
        if not sent and not sender.waits:
            return
    raise AssertionError("the sender does not come to an end")


@pytest.fixture
def in_thread() -> Iterator[Callable[..., Future[Any]]]:
    """Calls a function in a thread of its own, which closes its connections."""

    def run(function: Callable[..., Any], *args: Any) -> Any:
        try:
            return function(*args)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        yield lambda function, *args: pool.submit(run, function, *args)


# -- where they leave --------------------------------------------------------------------------------------------


def test_they_wait_for_the_listener_and_others_do_not(database: str) -> None:
    assert publish(1).location is None
    with transaction.atomic(using=database):
        publish(2)
        publish("other", "c")
    messaging.publish_many([("o", 3), ("c", "mixed")])
    assert logged() == ["other", "mixed"]
    assert pending(database) == [1, 2, "other", 3, "mixed"]
    relay = relay_all()
    assert sweep(relay) == 0
    send_all(relay)
    assert stored(database) == ["other", "mixed", 1, 2, 3]


def test_a_log_with_little_room_takes_what_fits(database: str, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"MAX_LOG_ENTRIES": 30, "REPLAY_ENTRIES": 0}
    with transaction.atomic(using=database):
        for number in range(70):
            publish(number)
    send_all(relay_all())
    assert stored(database) == list(range(70))


def test_straight_to_redis_is_refused(sqlite: str) -> None:
    with pytest.raises(InvalidAttribute, match=r"'o\.x' is ordered"):
        messaging.publish("o.x", 1, outbox=False)
    with pytest.raises(InvalidAttribute):
        messaging.publish_many([("c", 1), ("o", 2)], outbox=False)


def test_rolled_back_they_are_never_sent(database: str) -> None:
    with transaction.atomic(using=database):
        publish(1)
        with suppress(RolledBack), transaction.atomic(using=database):
            publish(2)
            raise RolledBack
        publish(3)
    with suppress(RolledBack), transaction.atomic(using=database):
        publish(4)
        raise RolledBack
    send_all(new_relay())
    assert stored(database) == [1, 3]


def test_when_the_setting_is_gone_the_sweeper_sends_what_is_left(database: str, settings: Settings) -> None:
    publish(1)
    settings.MESSAGING = settings.MESSAGING | {"ORDERED_CHANNELS": []}
    assert sweep(relay_all()) == 1
    assert logged() == [1]


def test_a_listener_sends_them(database: str, start_listener: StartListener) -> None:
    start_listener()
    for n in range(20):
        publish(n)
    eventually(lambda: stored(database) == list(range(20)), message="all are stored in order")


# -- the order of commits ----------------------------------------------------------------------------------------


def overtaken(alias: str, in_thread: Callable[..., Future[Any]]) -> list[object]:
    """One transaction publishes "first" and lingers; another publishes "second" and would commit before it, if it
    could. -> the order in which they were committed."""
    committed: list[object] = []
    written, go_on = threading.Event(), threading.Event()

    def lingering() -> None:
        with transaction.atomic(using=alias):
            publish("first")
            written.set()
            assert go_on.wait(30)
            committed.append("first")  # behind the commit, somebody whose turn it is then might be quicker

    def quick() -> None:
        assert written.wait(30)
        with transaction.atomic(using=alias):
            publish("second")
        committed.append("second")
        go_on.set()

    def nudge() -> None:
        """The second one waits for its turn (or has gone ahead)."""
        assert written.wait(30)
        with connections[alias].cursor() as cursor:
            while not go_on.is_set():
                cursor.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
                if cursor.fetchone():
                    go_on.set()
                time.sleep(0.01)

    for each in [in_thread(lingering), in_thread(quick), in_thread(nudge)]:
        each.result(60)
    return committed


def test_nobody_overtakes_between_the_id_and_the_commit(
    postgresql: str, in_thread: Callable[..., Future[Any]]
) -> None:
    committed = overtaken(postgresql, in_thread)
    send_all(new_relay())
    assert logged() == committed == ["first", "second"]


def test_without_turns_the_ids_are_not_the_order_of_commits(
    postgresql: str, in_thread: Callable[..., Future[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The known-bad variant."""
    monkeypatch.setattr(outbox, "take_turn", lambda channels, using: None)
    committed = overtaken(postgresql, in_thread)
    send_all(new_relay())
    assert committed == ["second", "first"]
    assert logged() == ["first", "second"]


def test_callbacks_of_commits_are_not_in_their_order(database: str, settings: Settings) -> None:
    """The other known-bad variant, on SQLite too: everybody sends after his own commit."""

    def overtake() -> None:
        with transaction.atomic(using=database):
            # runs after the commit and before ours sends: another transaction, quicker to send
            transaction.on_commit(lambda: publish(2), using=database)
            publish(1)
        send_all(new_relay())

    overtake()
    assert logged() == [1, 2]
    settings.MESSAGING = settings.MESSAGING | {"ORDERED_CHANNELS": []}
    overtake()
    assert logged() == [1, 2, 2, 1]


def test_many_writers_at_once_and_a_sender_beside_them(
    database: str, in_thread: Callable[..., Future[Any]]
) -> None:
    """Each transaction draws a number under a row lock that it holds until its end: that is the order of commits."""
    with connections[database].cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS turns")
        cursor.execute("CREATE TABLE turns (n integer)")
        cursor.execute("INSERT INTO turns VALUES (0)")
    order: dict[str, int] = {}

    def write(writer: int) -> None:
        random = Random(writer)
        for n in range(15):
            with transaction.atomic(using=database):
                publish(f"{writer}/{n}")
                time.sleep(random.random() * 0.004)
                with connections[database].cursor() as cursor:
                    cursor.execute("UPDATE turns SET n = n + 1")
                    cursor.execute("SELECT n FROM turns")
                    order[f"{writer}/{n}"] = cursor.fetchone()[0]

    relay, sender = new_relay(), OrderedSender(connection.client())
    writers = [in_thread(write, writer) for writer in range(5)]
    while not all(each.done() for each in writers):
        send(sender, relay)
        drain(relay)
    for each in writers:
        each.result()
    send_all(relay, sender)
    assert len(order) == 75
    assert stored(database) == logged() == sorted(order, key=order.__getitem__)


def test_channels_do_not_wait_for_each_other(postgresql: str, in_thread: Callable[..., Future[Any]]) -> None:
    with transaction.atomic(using=postgresql):
        publish(1, "o.a")
        in_thread(publish, 2, "o.b").result(30)
        in_thread(lambda: send_all(new_relay())).result(30)
        assert logged() == [2]


# -- losses ------------------------------------------------------------------------------------------------------


def test_what_redis_forgot_comes_again_before_what_is_newer(database: str, broker: TestServer) -> None:
    relay, sender = new_relay(), OrderedSender(connection.client())
    publish(0)
    send_all(relay, sender)
    publish(1)
    publish(2)
    assert send(sender, relay) == 2
    broker.client().flushall()  # before the relay saw them
    publish(3)
    send_all(relay, sender)
    assert stored(database) == [0, 1, 2, 3]
    rows = Message.objects.using(database).order_by("pk")
    assert [row.resent for row in rows] == ["", "lost", "lost", ""]


def test_without_waiting_for_the_relay_a_newer_one_overtakes(
    database: str, broker: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The known-bad variant: send what has not been sent, as soon as it is there."""
    relay, sender = new_relay(), OrderedSender(connection.client())
    unsent = OrderedSender._rows
    publish(1)
    send(sender, relay)
    drain(relay)
    publish(2)
    send(sender, relay)
    broker.client().flushall()
    publish(3)
    monkeypatch.setattr(OrderedSender, "_rows", lambda self: unsent(self).filter(sends=0))
    send_all(relay, OrderedSender(connection.client()))
    monkeypatch.undo()
    send_all(relay)
    assert stored(database) == [1, 3, 2]


def test_an_append_whose_answer_was_lost(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    relay, sender = new_relay(), OrderedSender(connection.client())
    append, calls = log.append, 0

    def lossy(*args: Any) -> list[str]:
        nonlocal calls
        calls += 1
        positions = append(*args)
        if calls == 1:
            raise BrokerUnavailable("no answer")
        return positions

    monkeypatch.setattr(log, "append", lossy)
    publish(1)
    with pytest.raises(BrokerUnavailable):
        send(sender, relay)
    publish(2)
    send_all(relay, sender)
    assert logged() == [1, 1, 2]
    assert stored(database) == [1, 2]


def test_the_next_sender_waits_for_what_the_last_one_sent(database: str) -> None:
    relay = new_relay()
    publish(1)
    send(OrderedSender(connection.client()), relay)
    publish(2)
    second = OrderedSender(connection.client())
    assert send(second, relay) == send(second, relay) == 0  # merely not stored yet
    drain(relay)
    send_all(relay, second)
    assert logged() == [1, 2]


def test_a_sender_that_is_not_in_charge_any_more_sends_nothing(database: str) -> None:
    publish(1)
    assert send(OrderedSender(connection.client(), may_send=lambda: False), new_relay()) == 0
    assert logged() == []


# -- chunks and rows that cannot be sent -------------------------------------------------------------------------


def test_a_chunk_at_a_time(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "CHUNK_EVENTS", 3)
    relay, sender = new_relay(), OrderedSender(connection.client())
    messaging.publish_many([(f"o.{n % 2}", n) for n in range(10)])
    assert send(sender, relay) == 3
    assert send(sender, relay) == 0
    drain(relay)
    assert send(sender, relay) == 3
    send_all(relay, sender)
    assert stored(database) == list(range(10))


def test_a_row_that_cannot_be_sent_holds_up_its_channel_only(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordered, "HELD_SECONDS", 0.0)
    for n in range(3):
        publish(n, "o.bad")
    publish("fine")
    second = Message.objects.using(database).get(payload="1")
    Message.objects.using(database).filter(pk=second.pk).update(attributes="nonsense")
    relay = new_relay()
    send_all(relay)
    assert stored(database) == [0, "fine"]
    second.delete()
    send_all(relay)
    assert stored(database) == [0, "fine", 2]
