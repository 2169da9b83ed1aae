"""Who reads the log, and how far -> up to where it may be trimmed, and who holds that up.

A row of ``Cursor`` is a registration. It is made and moved by its reader, in the transaction of what the reader does
with the entries (or after it, where doing it twice is no harm). The relay is always one of them. Nothing is trimmed
that one of them has not read, so a reader that has ended for good has to be retired: then its row goes, and should it
come back after all, it is refused as if somebody else had taken over, and registers anew.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import redis

from messaging import log
from messaging.conf import conf
from messaging.log import START, Position
from messaging.models import Cursor

logger = logging.getLogger("messaging.listen")

RELAY = "relay"


class ReaderStanding(msgspec.Struct, frozen=True, kw_only=True):
    """Where a reader stands in a partition."""

    reader: str
    partition: int
    position: str | None  # None: nothing of this log yet
    moved: datetime | None
    behind_seconds: float  # age of the oldest entry that it has not read
    silent_seconds: float  # for so long there has been something to read, and it has not moved

    @property
    def is_silent(self) -> bool:
        """For so long that somebody should look?"""
        return self.silent_seconds > conf.READER_SILENT_SECONDS


def slowest(partition: int, epoch: str, position: Position) -> Position:
    """The lowest position of all readers of a partition; ``position`` is the relay's, which knows its own best."""
    others = Cursor.objects.using(conf.DATABASE).filter(partition=partition).exclude(reader=RELAY)
    for other, *place in others.values_list("epoch", "log_ms", "log_seq"):
        position = min(position, Position(*place) if other == epoch else START)
    return position


def standings(client: redis.Redis) -> list[ReaderStanding]:
    """All readers, the relay included; raises what redis-py and the database raise."""
    cursors = Cursor.objects.using(conf.DATABASE).order_by("reader", "partition")
    return list(_standings(client, list(cursors)))


def retire(reader: str) -> int:
    """Keep nothing for this reader any more; how many partitions it read. ``ValueError`` for the relay: what it has not
    read is not stored."""
    if reader == RELAY:
        raise ValueError("the relay cannot be retired: what it has not read is not in the table")
    return Cursor.objects.using(conf.DATABASE).filter(reader=reader).delete()[0]


def retire_silent(client: redis.Redis, partition: int) -> list[str]:
    """As ``READER_RETIRE_SECONDS`` asks: those that hold up a partition for longer; their names."""
    limit = conf.READER_RETIRE_SECONDS
    if not limit:
        return []
    others = Cursor.objects.using(conf.DATABASE).filter(partition=partition).exclude(reader=RELAY)
    gone = [each for each in _standings(client, list(others)) if each.silent_seconds > limit]
    for each in gone:
        retire(each.reader)
        logger.warning(
            "reader %s has been silent for %.0f s and is retired: the log is trimmed without it",
            each.reader,
            each.silent_seconds,
        )
    return [each.reader for each in gone]


def _standings(client: redis.Redis, cursors: list[Cursor]) -> Iterator[ReaderStanding]:
    epochs = {each: log.bounds(client, each).epoch for each in {cursor.partition for cursor in cursors}}
    seconds, microseconds = client.time() if cursors else (0, 0)  # positions are of Redis's clock
    now = seconds + microseconds / 1e6
    for cursor in cursors:
        ours = bool(cursor.epoch) and cursor.epoch == epochs[cursor.partition]
        at = Position(cursor.log_ms, cursor.log_seq) if ours else START
        unread = log.read(client, cursor.partition, at, count=1)
        behind = max(0.0, now - unread[0].position.ms / 1000) if unread else 0.0
        still = behind if cursor.moved_at is None else time.time() - cursor.moved_at.timestamp()
        yield ReaderStanding(
            reader=cursor.reader,
            partition=cursor.partition,
            position=str(at) if at > START else None,
            moved=cursor.moved_at and cursor.moved_at.astimezone(UTC),
            behind_seconds=round(behind, 3),
            silent_seconds=round(max(0.0, min(behind, still)), 3),
        )
