"""A span of the log -> tasks for some subscribers, once more, from the table where the log has it no more."""

from __future__ import annotations

import heapq
import secrets
from collections import defaultdict
from collections.abc import Iterator, Sequence

import redis

from messaging import log
from messaging.decoder import decode
from messaging.log import Position
from messaging.replayer import TABLE, Item, items
from messaging.span import PAGE_ENTRIES, Replay, Totals
from messaging.subscriptions import Subscribed, all_subscribed
from messaging.taskqueue.job import NewJob
from messaging.taskqueue.queue import Queue


def redeliver(
    client: redis.Redis,
    replay: Replay,
    names: Sequence[str],
    *,
    batch: int = PAGE_ENTRIES,
    dry_run: bool = False,
) -> Iterator[Totals]:
    """Enqueue a task for each event and each of these subscribers that wants it, in the order of the log; yields after
    about ``batch`` tasks. Each replay makes tasks of its own: it does not matter how earlier ones ended.

    Raises ``LookupError`` at once for a name that nobody has, later what redis-py and the database raise, and a
    :class:`~messaging.errors.BrokerError`.
    """
    known = {each.name: each for each in all_subscribed()}
    if unknown := [name for name in names if name not in known]:
        raise LookupError(
            f"There is no subscriber {', '.join(map(repr, unknown))}; known are {', '.join(known) or 'none'}. "
            "A new one is known once a listener of its release has begun to work."
        )
    return _steps(client, replay, [known[name] for name in dict.fromkeys(names)], batch, dry_run)


def _steps(
    client: redis.Redis, replay: Replay, wanting: Sequence[Subscribed], batch: int, dry_run: bool
) -> Iterator[Totals]:
    totals, once = Totals(at=replay.since), secrets.token_hex(8)
    waiting: list[tuple[Subscribed, NewJob]] = []
    sources = [items(client, partition, replay) for partition in log.partitions()]
    for item in heapq.merge(*sources, key=_position):
        totals.read += 1
        if item.body is None:
            totals.unreadable += 1
        elif replay.wants(item.channel) and (found := [each for each in wanting if each.wants(item.channel)]):
            totals.note(item.position)
            totals.from_table += item.source == TABLE
            event = decode(item.body, location=f"{item.partition}.{item.position}")
            waiting += [(each, each.job(event, item.body, once=once)) for each in found]
        if len(waiting) >= batch or (not waiting and totals.read % PAGE_ENTRIES == 0):
            totals.done += _enqueue(client, waiting, dry_run=dry_run)
            waiting.clear()
            totals.at = item.position
            yield totals
    totals.done += _enqueue(client, waiting, dry_run=dry_run)
    yield totals


def _position(item: Item) -> Position:
    return item.position


def _enqueue(client: redis.Redis, waiting: Sequence[tuple[Subscribed, NewJob]], *, dry_run: bool) -> int:
    jobs: defaultdict[tuple[str, str], list[NewJob]] = defaultdict(list)
    for each, job in waiting:
        jobs[each.backend, each.queue].append(job)
    if not dry_run:
        for to, batch in jobs.items():
            Queue(client, *to).enqueue(batch)
    return len(waiting)
