"""A place in the log -> a page of what came after it, or before it: from the log, and from the table where the log has
been trimmed. Blocks; runs on a thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import redis
from django.db.models import Q, QuerySet

from messaging import event, log
from messaging.conf import conf
from messaging.frames import Place, Where, format_id, message
from messaging.live.filters import Filter
from messaging.live.ring import Item, in_order, renumbered
from messaging.log import Entry, Position
from messaging.models import Cursor, Message
from messaging.relay import READER

PAGE_ENTRIES = 500
PAGE_BYTES = 4 * 1024 * 1024
SCAN_ENTRIES = 5000  # how far back history is looked for entry by entry


class Gap(NamedTuple):
    """What a client missed, or may have missed."""

    since: str | None
    to: Where
    reason: str  # "trimmed", "reborn" or "overrun"
    missed: int | None = None

    def facts(self) -> dict[str, object]:
        return {"from": self.since, "to": format_id(self.to), "reason": self.reason, "missed": self.missed}


class Page(NamedTuple):
    """Items behind a place, and the place behind them. ``where`` stays when there is nothing more in the log."""

    items: Sequence[Item]
    where: Where
    gap: Gap | None = None


def item_of(entry: Entry, epoch: str) -> Item:
    """An entry as a frame, for a reader of its partition alone."""
    channel, data = message(entry.location, entry.body, entry.fields, limit=conf.LIVE_PAYLOAD_BYTES)
    return Item.of(entry.partition, _alone(entry.partition, Place(epoch, *entry.position)), channel, data)


# -- what came after a place --------------------------------------------------------------------------------------


def after(client: redis.Redis, since: Where, filter_: Filter, *, upto: Where | None = None) -> Page:
    """The next page behind ``since``: messages that the filter takes, oldest first, none behind ``upto``.

    With a ``gap`` there are no items: the caller tells it and goes on from its end. Raises what redis-py and the
    database raise.
    """
    sources: list[_Source] = []
    for partition, place in enumerate(since):
        source = _source(client, partition, place, filter_, None if upto is None else upto[partition])
        if isinstance(source, Gap):
            to = (*since[:partition], *source.to, *since[partition + 1 :])
            return Page((), to, Gap(format_id(since), to, source.reason, source.missed))
        sources.append(source)
    # A page that ends before its source does sets the limit for all: nothing is sent that others would precede.
    limit = min((source.upto[1:] for source in sources if source.more), default=None)
    where, items = [], []
    for source, place in zip(sources, since, strict=True):
        if limit is None or source.upto[1:] <= limit:
            items += source.items
            where.append(source.upto)
        else:
            within = [item for item in source.items if _own(item)[1:] <= limit]
            items += within
            where.append(_own(within[-1]) if within else place)
    if len(since) > 1:
        items.sort(key=lambda item: (_own(item)[1:], item.partition))
        items = list(renumbered(items, since))
    return Page(items, tuple(where))


class _Source(NamedTuple):
    """What one partition has behind a place. ``upto``: how far that is; ``more``: does it go on there?"""

    items: list[Item]
    upto: Place
    more: bool


def _source(
    client: redis.Redis, partition: int, since: Place, filter_: Filter, end: Place | None
) -> _Source | Gap:
    last = Position(*end[1:]) if end is not None and end.epoch == since.epoch else None
    entries = log.between(client, partition, Position(*since.after()[1:]), last, count=PAGE_ENTRIES)
    # Asked after the entries were read: what is true now was true for them.
    bounds = log.bounds(client, partition)
    nothing = Place("", *log.START)
    if not bounds.epoch:
        return _Source([], since, False) if since == nothing else Gap(None, (nothing,), "reborn")
    if since.epoch != bounds.epoch:
        start = Place(bounds.epoch, *log.START)
        if since == nothing:
            return _Source([], start, True)
        return Gap(None, (start,), "reborn")
    if since[1:] > bounds.last:  # the log has lost its end: after a crash, or a failover
        return Gap(None, (Place(bounds.epoch, *bounds.last),), "reborn")
    first = Place(bounds.epoch, *(bounds.first or Place("", *bounds.last).after()[1:]))
    if since < first.before() and since[1:] != bounds.last:
        stored = _stored(partition, since, first, filter_)
        if stored is not None:
            return stored
    items = [item for entry in entries if filter_.takes((item := item_of(entry, since.epoch)).channel)]
    upto = Place(since.epoch, *entries[-1].position) if entries else since
    return _Source(items, upto, len(entries) == PAGE_ENTRIES)


def _stored(partition: int, since: Place, first: Place, filter_: Filter) -> _Source | Gap | None:
    """Rows between a place and the log's first entry; a gap where the table has not got them; ``None`` if there never
    were any."""
    rows = _rows().filter(epoch=since.epoch, partition=partition)
    behind = rows.filter(log_ms__gte=since.ms, log_ms__lte=first.ms).order_by("log_ms", "log_seq")
    behind = behind.exclude(log_ms=since.ms, log_seq__lte=since.seq)
    if since[1:] != log.START:
        upto_here = Q(log_ms__lt=since.ms) | Q(log_ms=since.ms, log_seq__lte=since.seq)
        if rows.filter(upto_here).order_by("-log_ms", "-log_seq").first() is None:
            # No row is as old as this place: rows behind it may have been removed as well.
            row = behind.first()
            found = first if row is None else min(first, _place(row))
            return Gap(None, (found.before(),), "trimmed")
    if filter_.exact is not None:
        behind = behind.filter(channel__in=filter_.exact)
    page = [row for row in behind[:PAGE_ENTRIES] if _place(row) < first]
    if len(page) == PAGE_ENTRIES:
        upto = _place(page[-1])
    else:
        upto = min(first.before(), _relayed(partition, since.epoch))
        if upto <= since:
            return None if since[1:] == log.START else Gap(None, (first.before(),), "trimmed")
    return _Source(
        [item for row in page if filter_.takes(row.channel) and (item := _row_item(row))], upto, True
    )


def _relayed(partition: int, epoch: str) -> Place:
    """How far the table has this log."""
    cursor = (
        Cursor.objects.using(conf.DATABASE).filter(reader=READER, partition=partition, epoch=epoch).first()
    )
    return Place(epoch, *log.START) if cursor is None else Place(epoch, cursor.log_ms, cursor.log_seq)


# -- what came before a place -------------------------------------------------------------------------------------


def before(client: redis.Redis, origin: Where, filter_: Filter, *, count: int) -> list[Item]:
    """Up to ``count`` messages up to and including ``origin``, oldest first: from the newest 5,000 entries of the log
    there, then from the table if the filter is nothing but names (that is an index; a glob would read everything)."""
    items: list[Item] = []
    oldest: list[Place] = []
    for partition, place in enumerate(origin):
        found, scanned = _scan(client, partition, place, filter_, count)
        items += found
        oldest.append(scanned)
    if len(items) < count and filter_.exact is not None:
        items += _older_rows(filter_.exact, oldest, count - len(items))
    return in_order(items, origin)[-count:]


def _scan(
    client: redis.Redis, partition: int, origin: Place, filter_: Filter, count: int
) -> tuple[list[Item], Place]:
    """Matching entries of one partition from ``origin`` back, and how far back that was."""
    found: list[Item] = []
    oldest = origin.after()
    if log.bounds(client, partition).epoch != origin.epoch:
        return found, oldest  # another log by now
    page = 100
    for _ in range(SCAN_ENTRIES // 100):
        entries = log.newest(client, partition, count=page, before=Position(*oldest[1:]))
        for entry in entries:
            item = item_of(entry, origin.epoch)
            if filter_.takes(item.channel):
                found.append(item)
        if entries:
            oldest = Place(origin.epoch, *entries[-1].position)
        if len(entries) < page or len(found) >= count:
            break
    return found[:count], oldest


def _older_rows(names: Iterable[str], oldest: Sequence[Place], count: int) -> list[Item]:
    """The newest rows of these channels that are older than what was scanned of the log."""
    latest = max(place.ms for place in oldest)
    rows = _rows().filter(channel__in=names, log_ms__lte=latest).order_by("-log_ms", "-log_seq")
    found = [
        _row_item(row)
        for row in rows[: count + PAGE_ENTRIES]
        if _place(row)[1:] < oldest[row.partition or 0][1:]
    ]
    return found[:count]


def retention(client: redis.Redis) -> dict[str, int | None]:
    """What the log holds: entries, the time of the oldest in milliseconds, and how many it keeps."""
    bounds = [log.bounds(client, partition) for partition in log.partitions()]
    return {
        "entries": sum(each.entries for each in bounds),
        "oldest": min((each.first.ms for each in bounds if each.first), default=None),
        "cap": conf.REPLAY_ENTRIES * conf.PARTITIONS,
    }


# -- rows ---------------------------------------------------------------------------------------------------------


def _rows() -> QuerySet[Message]:
    return Message.objects.using(conf.DATABASE).stored().filter(partition__lt=conf.PARTITIONS)


def _place(row: Message) -> Place:
    return Place(row.epoch or "", row.log_ms or 0, row.log_seq or 0)


def _row_item(row: Message) -> Item:
    place, partition = _place(row), row.partition or 0
    body = event.encode(row.as_event())
    channel, data = message(row.location or "", body, (), limit=conf.LIVE_PAYLOAD_BYTES)
    return Item.of(partition, _alone(partition, place), channel, data)


def _own(item: Item) -> Place:
    return item.where[item.partition]


def _alone(partition: int, place: Place) -> Where:
    return (Place("", 0, 0),) * partition + (place,)
