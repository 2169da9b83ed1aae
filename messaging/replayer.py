"""A span of the log, again -> rows that are missing, or messages to whoever subscribes to plain Pub/Sub.

Both may be done twice without harm: rows are known by their ids, and subscribers see ids that they know. What is
published again carries the ``logid`` of its place in the log: that tells our own capture not to record it.
"""

from __future__ import annotations

import heapq
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import redis
from django.db import DatabaseError, InterfaceError, OperationalError, connections, transaction
from redis.exceptions import NoPermissionError

from messaging import keys, log, storage
from messaging.conf import conf
from messaging.decoder import NotAnEvent
from messaging.errors import InvalidMessage
from messaging.event import Event, encode
from messaging.foreign import channel_name
from messaging.log import START, Entry, Position
from messaging.models import Message
from messaging.patterns import matches_any
from messaging.sender import pubsub_channel

PAGE_ENTRIES = 500
PAGE_BYTES = 4 * 1024 * 1024

LOG, TABLE = "log", "table"
END = Position(2**63 - 1, 2**63 - 1)  # of what a column holds


class Replay(NamedTuple):
    """What to replay: everything behind ``since``, up to and including ``until`` (``None``: what is there now), of
    the channels that match any of the patterns (none: all)."""

    since: Position
    until: Position | None = None
    channels: Sequence[str] = ()

    def wants(self, channel: str) -> bool:
        """Is it one of the channels?"""
        return not self.channels or matches_any(self.channels, channel)


@dataclass(slots=True)
class Totals:
    """How far a replay has come."""

    read: int = 0  # entries and rows of the span
    unreadable: int = 0  # of them no events; they are in quarantine
    wanted: int = 0  # of them of these channels
    done: int = 0  # stored, or published; of a dry run, those that would be
    known: int = 0  # in the table already
    refused: int = 0  # by the database, or by Redis (ACL)
    from_table: int = 0  # published from there, since the log has them no more
    heard: int = 0  # deliveries to subscribers, our own listener among them
    first: Position | None = None  # of those that were wanted
    at: Position = START  # everything up to here has been dealt with

    def note(self, position: Position) -> None:
        """One that is wanted."""
        self.wanted += 1
        if self.first is None or position < self.first:
            self.first = position


class LogChanged(Exception):
    """The log was born anew while it was read, or has not been born: there is nothing to go on with."""


# -- to the table -------------------------------------------------------------------------------------------------


def to_table(client: redis.Redis, replay: Replay, *, dry_run: bool = False) -> Iterator[Totals]:
    """Store what the table lacks, by the relay's own statement; yields after each batch.

    Raises what redis-py raises, :class:`LogChanged`, and ``OperationalError`` or ``InterfaceError`` when the database
    is away; what was stored by then stays.
    """
    totals = Totals()
    for partition in log.partitions():
        totals.at = replay.since
        for epoch, entries in _pages(client, partition, replay):
            rows: list[storage.Row] = []
            for entry in entries:
                totals.read += 1
                try:
                    event = entry.event()
                except NotAnEvent:
                    totals.unreadable += 1
                    continue
                if replay.wants(event.channel):
                    totals.note(entry.position)
                    rows.append(storage.row_of(entry, event))
            _store(rows, totals, epoch=epoch, partition=partition, dry_run=dry_run)
            totals.at = entries[-1].position
            yield totals
    yield totals


def _store(rows: Sequence[storage.Row], totals: Totals, *, epoch: str, partition: int, dry_run: bool) -> None:
    """One transaction; of what the database refuses only the one row at fault is left out."""
    if not rows:
        return
    using = conf.DATABASE
    ids = {(row[0], row[1]) for row in rows}
    try:
        with transaction.atomic(using=using), connections[using].cursor() as cursor:
            there = Message.objects.using(using).stored().filter(event_id__in=[row[0] for row in rows])
            new = len(ids - set(there.values_list("event_id", "source")))
            if new and not dry_run:
                now = datetime.now(UTC)
                storage.store(cursor, rows, epoch=epoch, partition=partition, stored_at=now)
                storage.note_channels(cursor, sorted({row[2] for row in rows}), now)
    except (OperationalError, InterfaceError):
        raise
    except DatabaseError:
        if len(rows) == 1:
            totals.refused += 1
            return
        half = len(rows) // 2
        for part in (rows[:half], rows[half:]):
            _store(part, totals, epoch=epoch, partition=partition, dry_run=dry_run)
        return
    totals.done += new
    totals.known += len(rows) - new


def _pages(client: redis.Redis, partition: int, replay: Replay) -> Iterator[tuple[str, list[Entry]]]:
    """The span as one partition of the log holds it, in pages, each with the epoch of the log."""
    bounds = log.bounds(client, partition)
    until = bounds.last if replay.until is None else min(replay.until, bounds.last)
    at, count = replay.since, 100
    while at < until:
        entries, epoch = _page(client, partition, at, until, count)
        if epoch != bounds.epoch:
            raise LogChanged(f"partition {partition} of the log was born anew meanwhile")
        if not entries:
            return
        yield epoch, entries
        at, count = entries[-1].position, _fitting(entries)


def _page(
    client: redis.Redis, partition: int, after: Position, until: Position, count: int
) -> tuple[list[Entry], str]:
    pipe = client.pipeline(transaction=True)
    pipe.execute_command("XRANGE", keys.log(partition), f"({after}", str(until), "COUNT", count)
    pipe.get(keys.epoch(partition))
    entries, epoch = pipe.execute()
    return log.entries_of(partition, entries), (epoch or b"").decode()


def _fitting(entries: Sequence[Entry]) -> int:
    """How many entries of this size make a page."""
    average = sum(len(entry.raw) for entry in entries) // len(entries) + 1
    return max(1, min(PAGE_ENTRIES, PAGE_BYTES // average))


# -- to subscribers -----------------------------------------------------------------------------------------------


class _Item(NamedTuple):
    """One message of the span; ``body`` is ``None`` if it is no event."""

    position: Position
    partition: int
    source: str
    channel: str = ""
    to: bytes = b""  # the channel on Pub/Sub
    body: bytes | None = None


def to_subscribers(
    client: redis.Redis, replay: Replay, *, batch: int = PAGE_ENTRIES, dry_run: bool = False
) -> Iterator[Totals]:
    """Publish the stored bytes again, in the order of the log, from the table where the log has them no more; yields
    after each ``batch``. Raises what redis-py and the database raise, and :class:`LogChanged`."""
    totals = Totals(at=replay.since)
    epochs = _epochs(client)
    waiting: list[tuple[bytes, bytes]] = []
    sources = [_items(client, partition, replay) for partition in log.partitions()]
    for item in heapq.merge(*sources, key=lambda each: each.position):
        totals.read += 1
        if item.body is None:
            totals.unreadable += 1
        elif replay.wants(item.channel):
            totals.note(item.position)
            totals.from_table += item.source == TABLE
            body = marked(item.body, epochs[item.partition], item.partition, item.position)
            waiting.append((item.to, body))
        if len(waiting) >= batch or (not waiting and totals.read % PAGE_ENTRIES == 0):
            _publish(client, waiting, totals, dry_run=dry_run)
            waiting.clear()
            totals.at = item.position
            yield totals
    _publish(client, waiting, totals, dry_run=dry_run)
    yield totals


def marked(body: bytes, epoch: str, partition: int, position: Position) -> bytes:
    """An event's bytes -> the same as append.lua publishes them, with the place in the log at the end. Pure."""
    return b'%b,"logid":"%b.%d.%b"}' % (body.rstrip()[:-1], epoch.encode(), partition, str(position).encode())


def _epochs(client: redis.Redis) -> list[str]:
    """Of each partition, an epoch that our capture takes for its own."""
    found = [log.bounds(client, partition).epoch for partition in log.partitions()]
    known = next(filter(None, found), None)
    if known is None:
        raise LogChanged(
            "the log has not been born, so that a listener would record everything once more: publish a message first"
        )
    return [epoch or known for epoch in found]


def _publish(
    client: redis.Redis, messages: Sequence[tuple[bytes, bytes]], totals: Totals, *, dry_run: bool
) -> None:
    if dry_run or not messages:
        totals.done += len(messages)
        return
    pipe = client.pipeline(transaction=False)
    for channel, body in messages:
        pipe.execute_command("PUBLISH", channel, body)
    for reply in pipe.execute(raise_on_error=False):
        if isinstance(reply, NoPermissionError):
            totals.refused += 1
        elif isinstance(reply, Exception):
            raise reply
        else:
            totals.done += 1
            totals.heard += reply


def _items(client: redis.Redis, partition: int, replay: Replay) -> Iterator[_Item]:
    """The span of one partition. Each page comes from the log if the log still holds what follows, else from the
    table: the log may be trimmed while a long replay goes on."""
    last = log.bounds(client, partition).last
    until = last if last > START else END  # without a log, all there is comes from the table
    if replay.until is not None:
        until = min(until, replay.until)
    at, count = replay.since, 100
    while at < until:
        first = log.bounds(client, partition).first
        rows = _rows(partition, at, _next(until) if first is None else min(first, _next(until)))
        if rows:
            yield from map(_of_row, rows)
            at = _position(rows[-1])
            continue
        entries, _ = _page(client, partition, at, until, count)
        if not entries:
            return
        yield from map(_of_entry, entries)
        at, count = entries[-1].position, _fitting(entries)


def _rows(partition: int, after: Position, end: Position) -> list[Message]:
    """A page of rows behind a position and before another one, by the index of positions."""
    after, end = min(after, END), min(end, END)
    return list(
        Message.objects.using(conf.DATABASE)
        .filter(partition=partition, log_ms__gte=after.ms, log_ms__lte=end.ms)
        .exclude(log_ms=after.ms, log_seq__lte=min(after.seq, END.seq))
        .exclude(log_ms=end.ms, log_seq__gte=min(end.seq, END.seq))
        .in_log_order()[:PAGE_ENTRIES]
    )


def _position(row: Message) -> Position:
    return Position(row.log_ms or 0, row.log_seq or 0)


def _next(position: Position) -> Position:
    return Position(position.ms, position.seq + 1)


def _of_row(row: Message) -> _Item:
    item = _Item(_position(row), row.partition or 0, TABLE)
    try:
        event = row.as_event()
        return item._replace(channel=event.channel, to=_pubsub_channel(event), body=encode(event))
    except InvalidMessage:
        return item


def _of_entry(entry: Entry) -> _Item:
    item = _Item(entry.position, entry.partition, LOG)
    try:
        event = entry.event()
    except NotAnEvent:
        return item
    return item._replace(channel=event.channel, to=_pubsub_channel(event), body=entry.body)


def _pubsub_channel(event: Event) -> bytes:
    """Where it was published; a foreign channel whose name could not be stored is kept in a header."""
    with suppress(ValueError):
        raw = b64decode(event.headers.get("rawchannel", ""), validate=True)
        if raw and channel_name(raw)[0] == event.channel:
            return conf.CHANNEL_PREFIX.encode() + raw
    return pubsub_channel(event.channel)
