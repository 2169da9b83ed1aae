"""Encoded events -> the log, each in its channel's partition, in the order given. One attempt, no retries."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import force_setattr

from messaging import log
from messaging.conf import conf
from messaging.errors import BrokerError, BrokerFull
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
    prefix = conf.CHANNEL_PREFIX
    homes: dict[int, list[Prepared]] = {}
    for each in prepared:
        homes.setdefault(partition_of(each[0].channel), []).append(each)
    try:
        for partition, residents in homes.items():
            done = 0
            for chunk in log.chunks([((prefix + event.channel).encode(), body) for event, body in residents]):
                for position in log.append(partition, chunk):
                    located(residents[done][0], partition, position)
                    done += 1
    except BrokerError as error:
        error.published = [event for event, _ in prepared if event.location is not None]
        raise
    return [event for event, _ in prepared]


def send_what_fits(prepared: Sequence[Prepared]) -> None:
    """:func:`send`; when the log is too full for all of it, half of what is left, or a half of that. Which have found
    room is told by their locations. Raises :class:`~messaging.errors.BrokerFull` when there is none for a single one.
    """
    try:
        send(prepared)
    except BrokerFull:
        left = unsent(prepared)
        if len(left) == 1:
            raise
        send_what_fits(left[: len(left) // 2])


def unsent(prepared: Sequence[Prepared]) -> list[Prepared]:
    """Those that are not in the log."""
    return [each for each in prepared if each[0].location is None]


def located(event: Event, partition: int, position: str) -> Event:
    """The event, told its place in the log. It is frozen for everyone else; only its sender ever saw it without one."""
    force_setattr(event, "location", f"{partition}.{position}")
    return event


def pubsub_channel(channel: str) -> bytes:
    """The channel's name on Pub/Sub."""
    return (conf.CHANNEL_PREFIX + channel).encode()
