"""A span of the log -> messages to whoever subscribes to plain Pub/Sub, once more.

The bytes are those that were stored, so a subscriber knows the ids that it has seen; at their end stands the ``logid``
of their place in the log, which tells our own capture not to record them.
"""

from __future__ import annotations

import heapq
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import redis
from redis.exceptions import NoPermissionError

from messaging import log
from messaging.conf import conf
from messaging.decoder import NotAnEvent
from messaging.errors import InvalidMessage
from messaging.event import Event, encode
from messaging.foreign import channel_name
from messaging.log import START, Entry, Position
from messaging.models import Message
from messaging.sender import pubsub_channel
from messaging.span import END, PAGE_ENTRIES, LogChanged, Replay, Totals, fitting, page

LOG, TABLE = "log", "table"


class Item(NamedTuple):
    """One message of the span; ``body``, its event's JSON, is ``None`` if it is no event."""

    position: Position
    partition: int
    source: str
    channel: str = ""
    to: bytes = b""  # the channel on Pub/Sub
    body: bytes | None = None


def publish_again(
    client: redis.Redis, replay: Replay, *, batch: int = PAGE_ENTRIES, dry_run: bool = False
) -> Iterator[Totals]:
    """Publish the stored bytes again, in the order of the log, from the table where the log has them no more; yields
    after each ``batch``. Raises what redis-py and the database raise, and :class:`LogChanged`."""
    totals = Totals(at=replay.since)
    epochs = _epochs(client)
    waiting: list[tuple[bytes, bytes]] = []
    sources = [items(client, partition, replay) for partition in log.partitions()]
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


def items(client: redis.Redis, partition: int, replay: Replay) -> Iterator[Item]:
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
        entries, _ = page(client, partition, at, until, count)
        if not entries:
            return
        yield from map(_of_entry, entries)
        at, count = entries[-1].position, fitting(entries)


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


def _of_row(row: Message) -> Item:
    item = Item(_position(row), row.partition or 0, TABLE)
    try:
        event = row.as_event()
        return item._replace(channel=event.channel, to=_pubsub_channel(event), body=encode(event))
    except InvalidMessage:
        return item


def _of_entry(entry: Entry) -> Item:
    item = Item(entry.position, entry.partition, LOG)
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
