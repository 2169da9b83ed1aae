"""Pending rows of ordered channels -> the log, in the order of their commits, whatever fails on the way.

**What the order is.** Transactions run side by side, ids are drawn before the commit, callbacks run after it: neither
tells in which order they were committed. So whoever publishes to an ordered channel first takes its turn
(:func:`take_turn`), which on PostgreSQL lasts until the end of that transaction: the next one draws its ids when the
one before is visible or gone. SQLite has one writer at a time anyway. So in a channel the order of the ids is the order
of the commits, and a row that can be seen has none before it that is still to come.

**How it is kept.** Only the listener in charge sends (:class:`OrderedSender`). A chunk of a channel is appended in one
step, and the next one waits until the relay has stored it. So every chunk begins with the first row that is not stored:
a Redis that forgets the end of its log, or an append whose answer was lost, makes a chunk come again whole, and never
lets a later message pass an earlier one. Of what comes twice the first counts.

**What it costs.** Writers of one channel wait for each other from the call of ``publish()`` to the end of their
transaction, so it belongs at the end of a short one; PostgreSQL adds a round trip. Transactions that publish to several
ordered channels should do so in the same order, else PostgreSQL ends one of two that wait for each other (deadlock).
Nothing leaves while no listener runs. A channel passes a chunk (500 messages or 4 MiB) for each round of the relay. A
row that cannot be sent holds its channel up until somebody mends or deletes it. What strangers publish has no commit.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple
from zlib import crc32

import redis
from django.db import connections
from django.db.models import F, Max, Min

from messaging import log
from messaging.conf import conf
from messaging.event import encode
from messaging.keys import partition_of
from messaging.log import Bounds, Position
from messaging.models import Message, MessageQuerySet
from messaging.patterns import matches_any
from messaging.sender import Prepared, pubsub_channel, send_what_fits

logger = logging.getLogger("messaging.publish")

ROWS = 500  # that one look takes
MOST_IN_FLIGHT = 2000  # channels
HELD_SECONDS = 10.0  # a channel whose next row cannot be encoded is looked at again
_LOCKS = crc32(b"messaging ordered channels") - 2**31  # the first of the two numbers of our advisory locks


def is_ordered(channel: str) -> bool:
    """Does ``ORDERED_CHANNELS`` ask for it?"""
    patterns = conf.ORDERED_CHANNELS
    return bool(patterns) and matches_any(patterns, channel)


def take_turn(channels: Iterable[str], *, using: str) -> None:
    """Wait until no other transaction is between this call and its end for one of these channels."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return  # SQLite: the ids are drawn while the one write lock is held
    with connection.cursor() as cursor:
        for number in sorted({crc32(channel.encode()) - 2**31 for channel in channels}):
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCKS, number])


class _Flight(NamedTuple):
    """What of a channel is in the log and not stored yet."""

    last: int  # key of its last row
    barrier: Bounds | None  # the end of the log when it was in there; None = to be asked


class OrderedSender:
    """The only one that sends rows of ordered channels; ``may_send`` says whether this listener still is in charge."""

    def __init__(self, client: redis.Redis, *, may_send: Callable[[], bool] = lambda: True) -> None:
        self._client = client
        self._may_send = may_send
        self._flights: dict[str, _Flight] | None = None
        self._held: dict[str, float] = {}  # channels, and when they are looked at again
        self._told: set[int] = set()

    @property
    def waits(self) -> bool:
        """Is something in the log that is not stored yet?"""
        return bool(self._flights)

    def step(self, stored_up_to: dict[int, Position]) -> int:
        """Send what may leave now; how many rows. ``stored_up_to``: how far the relay has stored each partition.

        Raises a :class:`~messaging.errors.BrokerError`, or what redis-py or the database raises.
        """
        if self._flights is None:  # what a sender before us has sent is most likely in the log
            sent = self._rows().filter(sends__gt=0).values_list("channel").annotate(Max("pk"))
            self._flights = {channel: _Flight(last, None) for channel, last in sent.order_by()}
        self._land(self._flights, stored_up_to)
        now = time.monotonic()
        self._held = {channel: until for channel, until in self._held.items() if until > now}
        if len(self._flights) >= MOST_IN_FLIGHT:
            return 0
        waiting = self._rows().exclude(channel__in=[*self._flights, *self._held])
        homes: dict[int, list[Prepared]] = {}
        keys: dict[str, int] = {}
        for row in waiting.order_by("pk")[:ROWS]:
            if row.channel in self._held or (prepared := self._prepared(row)) is None:
                continue
            homes.setdefault(partition_of(row.channel), []).append(prepared)
            keys[row.event_id + row.source] = row.pk
        return sum(self._send(self._flights, each, keys) for each in homes.values())

    def _land(self, flights: dict[str, _Flight], stored_up_to: dict[int, Position]) -> None:
        """Forget what has been stored; send again what the relay has read past without storing it."""
        if not flights:
            return
        rows = self._rows().filter(channel__in=list(flights))
        first = dict(rows.values_list("channel").annotate(Min("pk")).order_by())
        bounds: dict[int, Bounds] = {}
        for channel, (last, barrier) in list(flights.items()):
            if channel not in first or first[channel] > last:
                del flights[channel]
                continue
            partition = partition_of(channel)
            if barrier is not None and stored_up_to.get(partition, log.START) >= barrier.last:
                lost = self._rows().filter(channel=channel, pk__lte=last).update(resent="lost")
                logger.warning("%d messages of ordered channel %s were not in the log", lost, channel)
                del flights[channel]
                continue
            if partition not in bounds:
                bounds[partition] = log.bounds(self._client, partition)
            now = bounds[partition]
            if barrier is None or now.epoch != barrier.epoch or now.last < barrier.last:
                flights[channel] = _Flight(last, now)

    def _send(self, flights: dict[str, _Flight], prepared: list[Prepared], keys: dict[str, int]) -> int:
        """One chunk of one partition, appended in one step."""
        chunk = next(log.chunks([(pubsub_channel(event.channel), body) for event, body in prepared]))
        if not self._may_send():
            return 0
        send_what_fits(prepared[: len(chunk)])
        sent = [event for event, _ in prepared[: len(chunk)] if event.location is not None]
        for event in sent:  # of each channel the last
            flights[event.channel] = _Flight(keys[event.id + event.source], None)
        pks = [keys[event.id + event.source] for event in sent]
        Message.objects.using(conf.DATABASE).filter(pk__in=pks).update(sends=F("sends") + 1)
        return len(sent)

    def _prepared(self, row: Message) -> Prepared | None:
        try:
            event = row.as_event()
            return event, encode(event)
        except ValueError:  # InvalidMessage among them: somebody changed the row by hand
            self._held[row.channel] = time.monotonic() + HELD_SECONDS
            if row.pk not in self._told:
                self._told.add(row.pk)
                logger.exception(
                    "outbox row %s cannot be encoded and holds up its ordered channel %s", row.pk, row.channel
                )
            return None

    def _rows(self) -> MessageQuerySet:
        return Message.objects.using(conf.DATABASE).pending().filter(ordered=True)
