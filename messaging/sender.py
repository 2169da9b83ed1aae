"""Encoded events -> the log, each in its channel's partition, in the order given. One attempt, no retries."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from messaging import log
from messaging.conf import conf
from messaging.errors import BrokerError
from messaging.event import Event
from messaging.keys import partition_of

Prepared = tuple[Event, bytes]  # an event and its CloudEvents JSON


def send_one(prepared: Prepared) -> Event:
    """One encoded event -> the event with its location; raises a :class:`~messaging.errors.BrokerError`."""
    event, body = prepared
    partition = partition_of(event.channel)
    (position,) = log.append(partition, [(pubsub_channel(event.channel), body)])
    return located(event, partition, position)


async def asend_one(prepared: Prepared) -> Event:
    """:func:`send_one` for the running event loop."""
    event, body = prepared
    partition = partition_of(event.channel)
    (position,) = await log.aappend(partition, [(pubsub_channel(event.channel), body)])
    return located(event, partition, position)


def send(prepared: Sequence[Prepared]) -> list[Event]:
    """Encoded events -> the events with their locations, in the order given.

    Raises a :class:`~messaging.errors.BrokerError` whose ``published`` lists what is in the log all the same.
    """
    sent: list[Event | None] = [None] * len(prepared)
    home = [partition_of(event.channel) for event, _ in prepared]
    try:
        for partition, group in groupby(
            sorted(range(len(prepared)), key=home.__getitem__), key=home.__getitem__
        ):
            places = list(group)
            done = 0
            pairs = [(pubsub_channel(prepared[at][0].channel), prepared[at][1]) for at in places]
            for chunk in log.chunks(pairs):
                for position in log.append(partition, chunk):
                    at = places[done]
                    sent[at] = located(prepared[at][0], partition, position)
                    done += 1
    except BrokerError as error:
        error.published = [event for event in sent if event is not None]
        raise
    return [event for event in sent if event is not None]


def located(event: Event, partition: int, position: str) -> Event:
    """The event with its place in the log."""
    return Event(
        id=event.id,
        source=event.source,
        type=event.type,
        channel=event.channel,
        time=event.time,
        payload=event.payload,
        content_type=event.content_type,
        binary=event.binary,
        key=event.key,
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
        traceparent=event.traceparent,
        headers=event.headers,
        location=f"{partition}.{position}",
    )


def pubsub_channel(channel: str) -> bytes:
    """The channel's name on Pub/Sub."""
    return (conf.CHANNEL_PREFIX + channel).encode()
