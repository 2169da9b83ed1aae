"""Rows of the quarantine -> messages in the table, under the positions that they have in the log; or gone.

Retrying stores an entry's bytes in the way the relay does, with the code of today: a reader that has learned more, a
database that takes more. Storing and leaving the quarantine are one transaction. What is refused again stays, with its
new reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from django.db import DatabaseError, connections, transaction
from django.db.models import QuerySet
from django.db.models.functions import Length

from messaging import storage
from messaging.conf import conf
from messaging.decoder import NotAnEvent
from messaging.log import Entry, Position
from messaging.models import Quarantine

GROUP = 100  # rows of one transaction, fewer when they are large
GROUP_BYTES = 8 * 1024 * 1024


class Retried(NamedTuple):
    """What became of one entry: ``reason`` says why it stays, "" that it is in the table."""

    row: Quarantine
    reason: str


def entries() -> QuerySet[Quarantine]:
    """Everything in quarantine, oldest first, without the bytes."""
    return Quarantine.objects.using(conf.DATABASE).defer("body").order_by("pk")


def retry(ids: Sequence[int]) -> Iterator[Retried]:
    """Try to store these again, oldest first; yields each after the commit that decided on it.

    Raises one of ``storage.NO_ROW_AT_FAULT`` when the database is away, unwell or not set up; what was yielded by
    then stays done. An entry whose event is in the table already leaves without a new row.
    """
    using = conf.DATABASE
    for group in _groups(ids):
        with transaction.atomic(using=using):
            rows = Quarantine.objects.using(using).select_for_update().filter(pk__in=group).order_by("pk")
            done = [Retried(row, _stored(row)) for row in rows]
        yield from done


def discard(ids: Sequence[int]) -> int:
    """Remove these for good; how many were there. The log is not touched."""
    gone = 0
    for start in range(0, len(ids), GROUP):
        rows = Quarantine.objects.using(conf.DATABASE).filter(pk__in=ids[start : start + GROUP])
        gone += rows.delete()[0]
    return gone


def reason_of(error: Exception) -> str:
    """An exception -> the reason that stands in the quarantine."""
    reason = str(error) if isinstance(error, NotAnEvent) else f"refused by the database: {error}"
    return reason.replace("\x00", "\\x00")


def _groups(ids: Sequence[int]) -> Iterator[list[int]]:
    """The rows that one transaction takes: bounded in number and in bytes."""
    for start in range(0, len(ids), 10 * GROUP):
        sizes = entries().filter(pk__in=ids[start : start + 10 * GROUP])
        group: list[int] = []
        total = 0
        for pk, size in sizes.values_list("pk", Length("body")):
            if group and (len(group) == GROUP or total + size > GROUP_BYTES):
                yield group
                group, total = [], 0
            group.append(pk)
            total += size
        if group:
            yield group


def _stored(row: Quarantine) -> str:
    """One entry, in the caller's transaction: stored and out of the quarantine, or the reason why not."""
    using = conf.DATABASE
    entry = Entry(row.partition, Position(row.log_ms, row.log_seq), bytes(row.body), ())
    try:
        event = entry.event()
        now = datetime.now(UTC)
        with transaction.atomic(using=using), connections[using].cursor() as cursor:
            found = [storage.row_of(entry, event)]
            storage.store(cursor, found, epoch=row.epoch, partition=row.partition, stored_at=now)
            storage.note_channels(cursor, [event.channel], now)
            Quarantine.objects.using(using).filter(pk=row.pk).delete()
    except storage.NO_ROW_AT_FAULT:
        raise
    except (NotAnEvent, DatabaseError) as error:
        row.reason = reason_of(error)
        row.save(using=using, update_fields=["reason"])
        return row.reason
    return ""
