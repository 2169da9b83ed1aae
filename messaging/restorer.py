"""A span of the log -> the rows that the table lacks. Doing it twice is no harm: rows are known by their ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import redis
from django.db import DatabaseError, connections, transaction

from messaging import log, storage
from messaging.conf import conf
from messaging.decoder import NotAnEvent
from messaging.log import Entry
from messaging.models import Message
from messaging.span import LogChanged, Replay, Totals, fitting, page


def restore(client: redis.Redis, replay: Replay, *, dry_run: bool = False) -> Iterator[Totals]:
    """Store what the table lacks, by the relay's own statement; yields after each batch.

    Raises what redis-py raises, :class:`LogChanged`, and one of ``storage.NO_ROW_AT_FAULT`` when the database is away
    or unwell; what was stored by then stays.
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
    except storage.NO_ROW_AT_FAULT:
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
        entries, epoch = page(client, partition, at, until, count)
        if epoch != bounds.epoch:
            raise LogChanged(f"partition {partition} of the log was born anew meanwhile")
        if not entries:
            return
        yield epoch, entries
        at, count = entries[-1].position, fitting(entries)
