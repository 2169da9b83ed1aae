"""A channel is a loudspeaker: whoever listens at this moment hears it, nobody else ever will. The log remembers."""

import json

from redis import Redis
from redis.client import PubSub

from messaging import connection, log, publish
from tests.waiting import PATIENCE


def listening(redis: Redis, *channels: str) -> PubSub:
    """A subscription that Redis has confirmed, so that nothing published from here on is missed."""
    pubsub = redis.pubsub()
    pubsub.psubscribe(*channels)
    for _ in channels:
        assert pubsub.get_message(timeout=PATIENCE)["type"] == "psubscribe"
    return pubsub


def test_a_subscriber_hears_what_is_published(redis: Redis) -> None:
    """Subscribe first, then publish: the message comes with the name of its channel. A channel, too, needs no
    declaration; it is no more than a name that both sides know."""
    subscriber = listening(redis, "updates")
    redis.publish("updates", "New data available")
    message = subscriber.get_message(timeout=PATIENCE)
    assert (message["channel"], message["data"]) == ("updates", "New data available")


def test_every_subscriber_gets_its_own_copy(redis: Redis) -> None:
    """Unlike a queue's task, a published message goes to all who listen. That is right for news, and wrong for
    work."""
    ann, bob = listening(redis, "updates"), listening(redis, "updates")
    redis.publish("updates", "New data available")
    assert (
        ann.get_message(timeout=PATIENCE)["data"]
        == bob.get_message(timeout=PATIENCE)["data"]
        == "New data available"
    )


def test_a_pattern_subscribes_to_many_channels(redis: Redis) -> None:
    """PSUBSCRIBE takes globs, for channels that exist and for those that do not exist yet. Dots in names have no
    meaning for Redis, but make good patterns."""
    subscriber = listening(redis, "orders.*")
    redis.publish("orders.created", "1")
    redis.publish("payments.received", "not for us")
    redis.publish("orders.cancelled", "2")
    assert [subscriber.get_message(timeout=PATIENCE)["channel"] for _ in range(2)] == [
        "orders.created",
        "orders.cancelled",
    ]


def test_publish_returns_how_many_heard_it(redis: Redis) -> None:
    """The answer of PUBLISH is the number of subscriptions that got the message at that moment. Zero is not an error
    for Redis, although the message is gone: the publisher has to look."""
    assert redis.publish("updates", "is anybody there?") == 0
    first, second = listening(redis, "updates"), listening(redis, "up*")
    assert redis.publish("updates", "is anybody there?") == 2
    first.close()
    second.close()


def test_who_was_not_listening_misses_it(redis: Redis) -> None:
    """Pub/Sub keeps nothing: a subscriber that comes a moment later, or loses its connection for a moment, never
    hears what was said meanwhile, and cannot even know that something was said."""
    redis.publish("updates", "said too early")
    late = listening(redis, "updates")
    redis.publish("updates", "said in time")
    assert late.get_message(timeout=PATIENCE)["data"] == "said in time"
    assert late.get_message() is None


def test_who_was_not_listening_finds_it_in_the_log(redis: Redis) -> None:
    """``messaging.publish`` appends to a Redis Stream before it publishes, in one step. A stream is a log: it keeps
    its entries, and every reader has a position of its own, from which it goes on whenever it likes."""
    publish("updates", "said too early")
    entries = log.read(connection.client(), 0, log.START, count=10)
    assert [entry.event().data for entry in entries] == ["said too early"]

    publish("updates", "said later")
    news = log.read(connection.client(), 0, entries[-1].position, count=10)
    assert [entry.event().data for entry in news] == ["said later"]


def test_a_plain_subscriber_hears_what_django_publishes(redis: Redis) -> None:
    """The outside world needs no library of ours: ``publish`` speaks on the plain channel too, as a CloudEvent in
    JSON. Its ``logid`` says where the same message stands in the log."""
    subscriber = listening(redis, "orders.*")
    published = publish("orders.created", {"id": 1})
    event = json.loads(subscriber.get_message(timeout=PATIENCE)["data"])
    assert event["data"] == {"id": 1}
    assert (event["subject"], event["id"]) == ("orders.created", published.id)
    assert event["logid"].endswith(f".{published.location}")
