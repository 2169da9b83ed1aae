"""Rows that are too old or too many -> gone, a few at a time. What waits in the outbox stays, whatever its age.

A row is more than history: as long as the log may bring its event again, it is what keeps the event from being stored
a second time. So only rows go that stood in the log before the first entry that is still there, and an hour before it
at that: a publisher that got no answer may have appended the same event twice.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import redis
from django.db import connections

from messaging import log
from messaging.conf import conf
from messaging.log import START, Bounds, Position
from messaging.models import Message

logger = logging.getLogger("messaging.listen")

BATCH_ROWS = 500  # removed by one statement: a few milliseconds of the database's write lock
DRY_ROWS = 5000  # looked at by one when nothing is removed
MARGIN_MS = 3_600_000  # copies of one event lie closer together than this
PAUSE_SECONDS = 0.05  # of the listener, between two batches
EVERY_SECONDS = 60.0  # of the listener, between two rounds

_DAY_MS = 86_400_000
_TABLE = Message._meta.db_table

# By the index of log_ms and log_seq; a row that is pending has neither and matches nothing.
PAGE = (
    f"SELECT id, partition, log_ms, log_seq FROM {_TABLE} "  # noqa: S608 (built from constants)
    "WHERE (log_ms, log_seq) < (%s, %s) AND (log_ms, log_seq, id) > (%s, %s, %s) "
    "ORDER BY log_ms, log_seq, id LIMIT %s"
)
NEWEST = (
    f"SELECT log_ms, log_seq FROM {_TABLE} WHERE log_ms IS NOT NULL "  # noqa: S608
    "ORDER BY log_ms DESC, log_seq DESC LIMIT 1 OFFSET %s"
)


class Pruned(NamedTuple):
    """How far a round has come."""

    removed: int  # rows; of a dry run, those that would be
    reached: Position  # everything before it has been dealt with
    held: Position | None  # beyond the limits, but from here on the log may bring them again


def prune(client: redis.Redis, *, days: float, rows: int, dry_run: bool = False) -> Iterator[Pruned]:
    """Remove the rows that Redis took more than ``days`` ago, and all but the newest ``rows`` (0: no such limit).

    Yields after each batch, and once more at the end; each batch is a transaction of its own, and whoever stops early
    or is killed goes on with the next call. Raises what redis-py raises before anything is removed that Redis was not
    asked about, and what the database raises.
    """
    removed, at, held = 0, (START, 0), None
    beyond = _beyond(client, days, rows)
    while beyond is not None:
        safe = _safe(client, log.partitions())
        end = min(beyond, max(safe.values()))
        held = end if end < beyond else None
        page = _page(at, end, DRY_ROWS if dry_run else BATCH_ROWS)
        if not page:
            break
        safe |= _safe(client, {each.partition for each in page} - safe.keys())
        ids = [each.pk for each in page if each.position < safe[each.partition]]
        if dry_run:
            removed += len(ids)
        elif ids:
            removed += Message.objects.using(conf.DATABASE).stored().filter(pk__in=ids).delete()[0]
        at = (page[-1].position, page[-1].pk)
        yield Pruned(removed, at[0], held)
    yield Pruned(removed, at[0], held)


def step(client: redis.Redis, stopping: threading.Event) -> None:
    """The listener's part: one round as the settings ask, with a pause behind each batch, then a minute's rest."""
    removed = 0
    for pruned in prune(client, days=conf.PRUNE_DAYS, rows=conf.PRUNE_ROWS):
        removed = pruned.removed
        if stopping.wait(PAUSE_SECONDS):
            break
    if removed:
        logger.debug("%d rows pruned", removed)
    stopping.wait(EVERY_SECONDS)


# -- how far ------------------------------------------------------------------------------------------------------


def _beyond(client: redis.Redis, days: float, rows: int) -> Position | None:
    """The position before which rows are too old or too many, ``None`` if there is no such limit."""
    limits = []
    if days > 0:
        limits.append(Position(int(_now_ms(client) - days * _DAY_MS), 0))
    if rows > 0:
        with connections[conf.DATABASE].cursor() as cursor:
            cursor.execute(NEWEST, [rows - 1])
            if found := cursor.fetchone():
                limits.append(Position(*found))
    return max(limits, default=None)


def _now_ms(client: redis.Redis) -> int:
    """By the clock that the log's positions are of."""
    seconds, microseconds = client.time()
    return int(seconds * 1000 + microseconds // 1000)


def _safe(client: redis.Redis, partitions: Iterable[int]) -> dict[int, Position]:
    """Each partition -> the position before which nothing comes again."""
    now_ms, in_use = _now_ms(client), log.partitions()
    return {
        each: safe_before(log.bounds(client, each), now_ms=now_ms, in_use=each in in_use)
        for each in partitions
    }


def safe_before(bounds: Bounds, *, now_ms: int, in_use: bool) -> Position:
    """What a partition of the log holds -> the position before which none of its events comes again. Pure."""
    if bounds.first is not None:
        oldest = bounds.first.ms
    elif bounds.last > START or not in_use:  # it is there and empty, or nobody reads or writes it any more
        oldest = now_ms
    else:
        return START  # not born, or lost: what it holds once it is back, nobody knows
    return Position(max(0, min(oldest, now_ms) - MARGIN_MS), 0)


class _Row(NamedTuple):
    pk: int
    partition: int
    position: Position


def _page(at: tuple[Position, int], end: Position, count: int) -> list[_Row]:
    """The next rows before ``end``, in the order of their positions."""
    position, pk = at
    with connections[conf.DATABASE].cursor() as cursor:
        cursor.execute(PAGE, [*end, *position, pk, count])
        return [_Row(pk, partition, Position(*place)) for pk, partition, *place in cursor.fetchall()]
