"""A moment, or one message -> the place in the log from which a stream shows it, with some messages before it.

Also the place where the log stands now: a page that is rendered with it and subscribes from there misses nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import redis
from redis.exceptions import RedisError

from messaging import connection, log
from messaging.conf import conf
from messaging.frames import Place, Where, channel_of, format_id
from messaging.live import history
from messaging.live.filters import Filter
from messaging.live.ring import Item
from messaging.log import LARGEST_STORED, START, Position
from messaging.models import Message

logger = logging.getLogger("messaging.live")

CONTEXT_ROWS = 500  # of the table, looked at for messages before a place that the log has dropped
_LAST_SEQ = 2**64 - 1


class Elsewhere(Exception):
    """A stream cannot show it; the sentence says why."""


class Unheard(Exception):
    """Whoever asks may not read its channel."""


class Found(NamedTuple):
    """``position`` resumes a stream; ``first`` is the oldest moment (ms) that can be shown, ``None``: nothing."""

    position: str
    first: int | None


def position(*, timeout: float = 1.0) -> str:
    """Where the log stands now, for ``subscribe(..., {position})``; "" when Redis does not say, or is empty.

    Ask before reading what the page shows: what changes in between is then sent to it.
    """
    try:
        client = connection.client(timeout=timeout)
        bounds = [log.bounds(client, partition) for partition in log.partitions()]
    except (RedisError, OSError) as error:
        logger.warning("a page is rendered without its place in the log: %s", error)
        return ""
    return format_id(tuple(Place(each.epoch, *each.last) for each in bounds))


def at_moment(client: redis.Redis, ms: int, filter_: Filter, *, before: int) -> Found:
    """From so many messages before a moment. Raises what redis-py and the database raise."""
    bounds = [log.bounds(client, partition) for partition in log.partitions()]
    last = Position(ms - 1, _LAST_SEQ) if ms > 0 else START
    return _found(client, tuple(Place(each.epoch, *last) for each in bounds), filter_, before)


def at_message(client: redis.Redis, location: str, filter_: Filter, *, before: int) -> Found:
    """From so many messages before one. Raises :class:`Elsewhere`, :class:`Unheard` where the filter has rights, and
    what redis-py and the database raise."""
    number, _, rest = location.partition(".")
    try:
        partition, own = int(number), Position.parse(rest)
    except ValueError:
        raise Elsewhere("There is no such place.") from None
    if partition not in log.partitions() or max(own) > _LAST_SEQ:
        raise Elsewhere("There is no such place.")
    bounds = [log.bounds(client, each) for each in log.partitions()]
    epoch = bounds[partition].epoch
    if entries := log.between(client, partition, own, own, count=1):
        _check_heard(filter_, {channel_of(entries[0].body)})
    else:
        rows = Message.objects.using(conf.DATABASE).filter(
            partition=partition, log_ms=min(own.ms, LARGEST_STORED), log_seq=min(own.seq, LARGEST_STORED)
        )
        found = list(rows.values_list("epoch", "channel"))
        _check_heard(filter_, {channel for _, channel in found})
        if not found:
            raise Elsewhere("This message is neither in the log nor stored any more.")
        if epoch not in {each for each, _ in found}:
            raise Elsewhere("This message is from before the log started anew: only its own page has it.")
    origin = tuple(
        Place(each.epoch, *(own if at == partition else (own.ms, 0))) for at, each in enumerate(bounds)
    )
    return _found(client, origin, filter_, before + 1)


def _check_heard(filter_: Filter, channels: set[str | None]) -> None:
    """``None`` is the channel of an entry that could not be read."""
    if filter_.rights is not None and not all(filter_.rights.ask(channel or "") for channel in channels):
        raise Unheard


def _found(client: redis.Redis, origin: Where, filter_: Filter, before: int) -> Found:
    items = history.before(client, origin, filter_, count=before)[-before:] if before else []
    start = _behind(origin, items)
    if len(items) < before and filter_.exact is None:
        start = tuple(
            _older(partition, place, filter_, before - len(items)) for partition, place in enumerate(start)
        )
    return Found(format_id(start), history.retention(client)["oldest"])


def _behind(origin: Where, items: Sequence[Item]) -> Where:
    """In each partition the place before the first of these, or else the origin."""
    first: dict[int, Place] = {}
    for item in items:
        first.setdefault(item.partition, item.own)
        first[item.partition] = min(first[item.partition], item.own, key=lambda place: place[1:])
    return tuple(first[at].before() if at in first else place for at, place in enumerate(origin))


def _older(partition: int, place: Place, filter_: Filter, count: int) -> Place:
    """Further back in the table, where the log has been trimmed."""
    rows = (
        Message.objects.using(conf.DATABASE)
        .filter(epoch=place.epoch, partition=partition, log_ms__lte=place.ms)
        .exclude(log_ms=place.ms, log_seq__gt=min(place.seq, LARGEST_STORED))
        .order_by("-log_ms", "-log_seq")
        .only("channel", "log_ms", "log_seq")[:CONTEXT_ROWS]
    )
    taken = [row for row in rows if filter_.takes(row.channel)][:count]
    return Place(place.epoch, taken[-1].log_ms or 0, taken[-1].log_seq or 0).before() if taken else place
