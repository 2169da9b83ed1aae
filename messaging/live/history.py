"""A place in the log -> a page of what came after it, or before it: from the log, and from the table where the log has
been trimmed. Blocks; runs on a thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import redis

from messaging import log
from messaging.conf import conf
from messaging.frames import Place, Where, channel_of, format_id
from messaging.live import stored
from messaging.live.filters import Filter
from messaging.live.pages import Gap, Page, Source
from messaging.live.ring import Item, in_order, renumbered
from messaging.live.sight import framer, seen
from messaging.log import Entry, Position

PROBE_ENTRIES = 20
PAGE_ENTRIES = 500
PAGE_BYTES = 4 * 1024 * 1024
SCAN_ENTRIES = 5000  # how far back history is looked for entry by entry


def items_of(entries: Iterable[Entry], epoch: str) -> list[Item]:
    """Entries as frames, for a reader of their partition alone."""
    frame, items = framer(), []
    for entry in entries:
        framed = frame(entry.location, entry.body, entry.fields)
        items.append(Item.alone(entry.partition, Place(epoch, *entry.position), *framed))
    return items


# -- what came after a place --------------------------------------------------------------------------------------


def after(client: redis.Redis, since: Where, filter_: Filter, *, upto: Where | None = None) -> Page:
    """The next page behind ``since``: messages that the filter takes, oldest first, none behind ``upto``.

    With a ``gap`` there are no items: the caller tells it and goes on from its end. Raises what redis-py and the
    database raise.
    """
    sources: list[Source] = []
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
            within = [item for item in source.items if item.own[1:] <= limit]
            items += within
            where.append(within[-1].own if within else place)
    if len(since) > 1:
        items.sort(key=lambda item: (item.own[1:], item.partition))
        items = list(renumbered(items, since))
    return Page(items if filter_.sight is None else seen(items, filter_.sight), tuple(where))


def _source(
    client: redis.Redis, partition: int, since: Place, filter_: Filter, end: Place | None
) -> Source | Gap:
    last = Position(*end[1:]) if end is not None and end.epoch == since.epoch else None
    entries, more = _read(client, partition, Position(*since.after()[1:]), last)
    # Asked after the entries were read: what is true now was true for them.
    bounds = log.bounds(client, partition)
    nothing = Place("", *log.START)
    if not bounds.epoch:
        return Source([], since, False) if since == nothing else Gap(None, (nothing,), "reborn")
    if since.epoch != bounds.epoch:
        start = Place(bounds.epoch, *log.START)
        if since == nothing:
            return Source([], start, True)
        return Gap(None, (start,), "reborn")
    if since[1:] > bounds.last:  # the log has lost its end: after a crash, or a failover
        return Gap(None, (Place(bounds.epoch, *bounds.last),), "reborn")
    first = Place(bounds.epoch, *(bounds.first or Place("", *bounds.last).after()[1:]))
    if since < first.before() and since[1:] != bounds.last:
        found = stored.behind(partition, since, first, filter_, is_whole=bounds.entries == bounds.added)
        if found is not None:
            return found
    items = items_of((entry for entry in entries if filter_.takes(channel_of(entry.body))), since.epoch)
    upto = Place(since.epoch, *entries[-1].position) if entries else since
    return Source(items, upto, more)


def _read(
    client: redis.Redis, partition: int, first: Position, last: Position | None
) -> tuple[list[Entry], bool]:
    """A page of entries, some first to learn how large they are; and whether there may be more."""
    entries = log.between(client, partition, first, last, count=PROBE_ENTRIES)
    if len(entries) < PROBE_ENTRIES:
        return entries, False
    count = min(PAGE_ENTRIES, PAGE_BYTES // _average(entries)) - PROBE_ENTRIES
    if count <= 0:
        return entries, True
    behind = Position(*Place("", *entries[-1].position).after()[1:])
    rest = log.between(client, partition, behind, last, count=count)
    return entries + rest, len(rest) == count


def _average(entries: Sequence[Entry]) -> int:
    return sum(len(entry.raw) for entry in entries) // len(entries) + 1


# -- what came before a place -------------------------------------------------------------------------------------


def before(client: redis.Redis, origin: Where, filter_: Filter, *, count: int) -> list[Item]:
    """Up to ``count`` messages up to and including ``origin``, oldest first: from the newest 5,000 entries of the log
    there; from the table if the filter is nothing but names (that is an index; a glob would read everything)."""
    items: list[Item] = []
    oldest: list[Place] = []
    for partition, place in enumerate(origin):
        found, scanned = _scan(client, partition, place, filter_, count)
        items += found
        oldest.append(scanned)
    if len(items) < count and filter_.exact is not None:
        items += stored.older(filter_.exact, oldest, count - len(items))
    return seen(in_order(items, origin)[-count:], filter_.sight)


def _scan(
    client: redis.Redis, partition: int, origin: Place, filter_: Filter, count: int
) -> tuple[list[Item], Place]:
    """Matching entries of one partition from ``origin`` back, and how far back that was."""
    found: list[Item] = []
    oldest = origin.after()
    if log.bounds(client, partition).epoch != origin.epoch:
        return found, oldest  # another log by now
    # From where the table has it all, an index finds the rest.
    enough = (
        stored.relayed(partition, origin.epoch)
        if filter_.exact is not None
        else Place(origin.epoch, *log.START)
    )
    page, scanned = PROBE_ENTRIES, 0
    while len(found) < count and scanned < SCAN_ENTRIES and oldest > enough:
        entries = log.newest(client, partition, count=page, before=Position(*oldest[1:]))
        found += items_of((entry for entry in entries if filter_.takes(channel_of(entry.body))), origin.epoch)
        if entries:
            oldest = Place(origin.epoch, *entries[-1].position)
        if len(entries) < page:
            break
        scanned += page
        page = max(1, min(PAGE_ENTRIES, PAGE_BYTES // _average(entries), page * 4))
    return found[:count], oldest


def retention(client: redis.Redis) -> dict[str, int | None]:
    """What the log holds: entries, the time of the oldest in milliseconds, and how many it keeps."""
    bounds = [log.bounds(client, partition) for partition in log.partitions()]
    return {
        "entries": sum(each.entries for each in bounds),
        "oldest": min((each.first.ms for each in bounds if each.first), default=None),
        "cap": conf.REPLAY_ENTRIES * conf.PARTITIONS,
    }
