"""A place in the log -> what the table has of it: rows behind the place, where the log has been trimmed, and rows
before it, of given channels. Blocks; runs on a thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import nlargest
from typing import Any

from django.db.models import Q, QuerySet

from messaging import event, keys, log
from messaging.conf import conf
from messaging.frames import Place
from messaging.live.filters import Filter
from messaging.live.pages import Gap, Source
from messaging.live.ring import Item
from messaging.live.sight import framer
from messaging.models import Cursor, Message
from messaging.readers import RELAY

PAGE_ROWS = 500
LOADED_ROWS = 50  # with their payloads, at a time


def behind(
    partition: int, since: Place, first: Place, filter_: Filter, *, is_whole: bool
) -> Source | Gap | None:
    """Rows between a place and the log's first entry; a gap where the table has not got them; ``None`` if there never
    were any. ``is_whole``: nothing was ever cut off the log, so that a place before all rows is one before the log."""
    rows = _rows().filter(epoch=since.epoch, partition=partition)
    queue = rows.filter(log_ms__gte=since.ms, log_ms__lte=first.ms).order_by("log_ms", "log_seq")
    queue = queue.exclude(log_ms=since.ms, log_seq__lte=since.seq)
    if since[1:] != log.START and not is_whole:
        upto_here = Q(log_ms__lt=since.ms) | Q(log_ms=since.ms, log_seq__lte=since.seq)
        if rows.filter(upto_here).order_by("-log_ms", "-log_seq").first() is None:
            # No row is as old as this place: rows behind it may have been removed as well.
            row = queue.first()
            found = first if row is None else min(first, _place(row))
            if since < found.before():
                return Gap(None, (found.before(),), "trimmed")
    if filter_.exact is not None:
        queue = queue.filter(channel__in=filter_.exact)
    page = [row for row in queue[:PAGE_ROWS] if _place(row) < first]
    if len(page) == PAGE_ROWS:
        upto = _place(page[-1])
    else:
        upto = min(first.before(), relayed(partition, since.epoch))
        if upto <= since:
            return None if since[1:] == log.START or is_whole else Gap(None, (first.before(),), "trimmed")
    return Source(
        [item for row in page if filter_.takes(row.channel) and (item := _row_item(row))], upto, True
    )


def relayed(partition: int, epoch: str) -> Place:
    """How far the table has this log."""
    cursor = (
        Cursor.objects.using(conf.DATABASE).filter(reader=RELAY, partition=partition, epoch=epoch).first()
    )
    return Place(epoch, *log.START) if cursor is None else Place(epoch, cursor.log_ms, cursor.log_seq)


def older(names: Iterable[str], oldest: Sequence[Place], count: int) -> list[Item]:
    """The newest rows of these channels that are older than what was scanned of the log; one query for each channel,
    since that is how the index stands. First their places alone: payloads may be large, and most are left out."""
    found: list[tuple[Any, ...]] = []  # of log_ms, log_seq, pk
    for name in names:
        place = oldest[keys.partition_of(name)]
        rows = (
            _rows()
            .filter(channel=name, log_ms__lte=place.ms)
            .exclude(log_ms=place.ms, log_seq__gte=place.seq)
            .order_by("-log_ms", "-log_seq")
        )
        found = nlargest(count, (*found, *rows.values_list("log_ms", "log_seq", "pk")[:count]))
    wanted = [pk for *_, pk in found]
    items: dict[int, Item] = {}
    for start in range(0, len(wanted), LOADED_ROWS):
        for row in _rows().filter(pk__in=wanted[start : start + LOADED_ROWS]):
            items[row.pk] = _row_item(row)
    return [items[pk] for pk in wanted if pk in items]


def _rows() -> QuerySet[Message]:
    return Message.objects.using(conf.DATABASE).stored().filter(partition__lt=conf.PARTITIONS)


def _place(row: Message) -> Place:
    return Place(row.epoch or "", row.log_ms or 0, row.log_seq or 0)


def _row_item(row: Message) -> Item:
    place, partition = _place(row), row.partition or 0
    body = event.encode(row.as_event())
    return Item.alone(partition, place, *framer()(row.location or "", body, ()))
