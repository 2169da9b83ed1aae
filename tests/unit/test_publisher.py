"""publish() and its kin, against a server inside this process (fakeredis)."""

import fakeredis
import pytest
import redis
from fakeredis import FakeRedisConnection
from pytest_django import Settings

import messaging
from messaging import (
    BrokerFull,
    BrokerUnavailable,
    InvalidAttribute,
    InvalidChannel,
    MessageTooLarge,
    Unencodable,
    log,
    wire,
)
from messaging.event import Event, encode
from tests.waiting import PATIENCE


def entries(client: fakeredis.FakeRedis, partition: int = 0) -> list[log.Entry]:
    return log.read(client, partition, log.START, count=10_000)


def test_a_published_event_carries_its_location_in_the_log(fake_broker: fakeredis.FakeRedis) -> None:
    event = messaging.publish("orders.created", {"id": 1}, type="t", key="k", headers={"tenant": "x"})
    (entry,) = entries(fake_broker)
    assert event.location == entry.location
    assert entry.event() == event


def test_subscribers_outside_hear_the_envelope_with_its_place_in_the_log(
    fake_broker: fakeredis.FakeRedis, settings: Settings
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"CHANNEL_PREFIX": "stage:"}
    pubsub = fake_broker.pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe("stage:orders.created")
    pubsub.get_message(timeout=PATIENCE)
    event = messaging.publish("orders.created", {"id": 1})
    heard = pubsub.get_message(timeout=PATIENCE)
    assert heard is not None
    (entry,) = entries(fake_broker)
    epoch = log.bounds(fake_broker, 0).epoch
    assert entry.body is not None
    assert heard["data"] == entry.body[:-1] + f',"logid":"{epoch}.{event.location}"}}'.encode()
    pubsub.close()


def test_the_epoch_stays_until_the_log_is_born_anew(fake_broker: fakeredis.FakeRedis) -> None:
    assert log.bounds(fake_broker, 0) == ("", 0, None, log.START, 0)
    messaging.publish("a", 1)
    first = log.bounds(fake_broker, 0).epoch
    messaging.publish("a", 1)
    assert log.bounds(fake_broker, 0).epoch == first
    assert len(first) == 16
    fake_broker.flushall()
    messaging.publish("a", 1)
    assert log.bounds(fake_broker, 0).epoch not in ("", first)


def test_many_messages_keep_their_order_and_return_in_it(
    fake_broker: fakeredis.FakeRedis, settings: Settings
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"PARTITIONS": 3}
    events = messaging.publish_many(
        [(f"c{n % 7}", n) if n % 2 else {"channel": f"c{n % 7}", "data": n, "key": "k"} for n in range(1200)]
    )
    assert [event.data for event in events] == list(range(1200))
    for partition in range(3):
        here = [entry.event() for entry in entries(fake_broker, partition)]
        assert [event.id for event in here] == [
            event.id for event in events if (event.location or "").startswith(f"{partition}.")
        ]
    assert len({event.location for event in events}) == 1200


def test_no_messages_are_no_call(fake_broker: fakeredis.FakeRedis) -> None:
    assert messaging.publish_many([]) == []
    assert fake_broker.dbsize() == 0


def test_all_are_checked_before_the_first_is_sent(fake_broker: fakeredis.FakeRedis) -> None:
    with pytest.raises(InvalidChannel):
        messaging.publish_many([("good", 1), ("bad channel", 2)])
    with pytest.raises(Unencodable):
        messaging.publish_many([("good", 1), {"channel": "good", "data": object()}])
    assert fake_broker.dbsize() == 0


@pytest.mark.parametrize("message", ["ab", ("a",), ("a", 1, 2), ["a", 1], None])
def test_a_message_that_is_neither_pair_nor_mapping_is_shown(message: object) -> None:
    with pytest.raises(InvalidAttribute) as caught:
        messaging.publish_many([message])  # type: ignore[list-item]
    assert repr(message) in str(caught.value)


def test_an_event_above_the_limit_is_refused_with_both_sizes(
    fake_broker: fakeredis.FakeRedis, settings: Settings
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"MAX_EVENT_BYTES": 1000}
    room = 1000 - len(wire_size(messaging.publish("a", "")))
    assert len(messaging.publish("a", "x" * room).data) == room
    with pytest.raises(MessageTooLarge) as caught:
        messaging.publish("a", "x" * (room + 1))
    assert (caught.value.size, caught.value.limit) == (1001, 1000)


def wire_size(event: Event) -> bytes:
    return encode(event)


def test_a_full_log_refuses_and_says_how_full_it_is(
    fake_broker: fakeredis.FakeRedis, settings: Settings
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"MAX_LOG_ENTRIES": 3}
    messaging.publish_many([("a", n) for n in range(2)])
    with pytest.raises(BrokerFull, match="the log holds 2 of 3 entries"):
        messaging.publish_many([("a", 2), ("a", 3)])
    assert log.bounds(fake_broker, 0).entries == 2
    messaging.publish("a", 2)
    with pytest.raises(BrokerFull):
        messaging.publish("a", 3)


def test_what_was_sent_before_a_failure_is_told(fake_broker: fakeredis.FakeRedis, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"MAX_LOG_ENTRIES": log.CHUNK_EVENTS}
    with pytest.raises(BrokerFull) as caught:
        messaging.publish_many([("a", n) for n in range(log.CHUNK_EVENTS + 1)])
    assert [event.data for event in caught.value.published] == list(range(log.CHUNK_EVENTS))
    assert all(event.location for event in caught.value.published)


def test_a_reply_that_is_lost_leaves_open_whether_it_was_sent_and_the_next_calls_fail_fast(
    fake_broker: fakeredis.FakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    messaging.publish("a", 1)
    with monkeypatch.context() as patch:
        patch.setattr(FakeRedisConnection, "read_response", _no_answer)
        with pytest.raises(BrokerUnavailable, match="cache 'fake': no answer") as caught:
            messaging.publish("a", 2)
    assert caught.value.maybe_sent
    assert wire.breaker.is_open
    with pytest.raises(BrokerUnavailable, match="left alone") as caught:
        messaging.publish("a", 3)
    assert not caught.value.maybe_sent
    wire.reset()
    messaging.publish("a", 4)
    assert [entry.event().data for entry in entries(fake_broker)] == [1, 2, 4]


def _no_answer(self: FakeRedisConnection, **options: object) -> None:
    raise redis.TimeoutError("no answer")


def test_big_events_make_several_calls(
    fake_broker: fakeredis.FakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "CHUNK_BYTES", 1000)
    pairs = [(b"c", b"x" * size) for size in (400, 500, 200, 5000, 1, 1)]
    assert [[len(body) for _, body in chunk] for chunk in log.chunks(pairs)] == [
        [400, 500],
        [200],
        [5000],
        [1, 1],
    ]
    assert list(log.chunks([])) == []
