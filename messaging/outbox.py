"""Pending rows -> the log, again and again until the relay has stored them.

A pending row is a ``Message`` without a position, written in the caller's transaction. It is sent after the commit by
the process that wrote it, and by the listener's sweeper if that process died or Redis was away or lost it. The relay
settles it, in the transaction that stores its message: Redis saying OK is not enough, since Redis may forget.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import redis
from django.db import connections, transaction
from django.db.models import F

from messaging import log
from messaging.conf import conf
from messaging.errors import BrokerError, InvalidMessage
from messaging.event import Event, encode
from messaging.log import Position
from messaging.models import Message
from messaging.rows import pending_row
from messaging.sender import Prepared, send

logger = logging.getLogger("messaging.publish")

SEND_ROWS = 500  # rows that one query reads and one round trip sends
SWEEP_ROWS = 2000  # rows that a sweep looks at


class _AfterCommit:
    """The one callback of a transaction: sends what of its rows has been committed."""

    def __init__(self, using: str) -> None:
        self.using = using
        self.ids: list[int] = []

    def __call__(self) -> None:
        ids, self.ids = self.ids, []
        for start in range(0, len(ids), SEND_ROWS):
            try:
                send_rows(ids[start : start + SEND_ROWS], using=self.using)
            except BrokerError as error:  # the rows stay pending; the sweeper sends them
                logger.info("%d messages wait in the outbox: %s", len(ids) - start, error)
                return


def put(prepared: Sequence[Prepared]) -> list[Event]:
    """Events -> pending rows in the current transaction, sent after its commit (at once when there is none)."""
    using = conf.DATABASE
    now = datetime.now(UTC)
    rows = Message.objects.using(using).bulk_create([pending_row(event, now) for event, _ in prepared])
    after_commit = _callback(using)
    after_commit.ids += [row.pk for row in rows]
    if not connections[using].in_atomic_block:
        after_commit()
    return [event for event, _ in prepared]


def _callback(using: str) -> _AfterCommit:
    """The transaction's callback: an earlier one serves if every rollback that drops it drops our rows too."""
    connection = connections[using]
    if not connection.in_atomic_block:
        return _AfterCommit(using)
    stack = set(connection.savepoint_ids)
    for savepoints, function, *_ in reversed(connection.run_on_commit):
        if isinstance(function, _AfterCommit) and savepoints <= stack:
            return function
    callback = _AfterCommit(using)
    transaction.on_commit(callback, using=using, robust=True)
    return callback


def send_rows(ids: Iterable[int], *, using: str) -> int:
    """Send those of the rows that are committed and still pending, in the order they were written; how many.

    They are read back, because a savepoint may have rolled some of them back.
    """
    rows = list(Message.objects.using(using).pending().filter(pk__in=list(ids)).order_by("pk"))
    if not rows:
        return 0
    prepared: list[Prepared] = []
    for row in rows:
        event = row.as_event()
        try:
            prepared.append((event, encode(event)))
        except InvalidMessage:
            logger.exception("outbox row %s cannot be encoded and stays pending", row.pk)
    send(prepared)
    Message.objects.using(using).filter(pk__in=[row.pk for row in rows]).update(sends=F("sends") + 1)
    return len(prepared)


class Sweeper:
    """Sends again what is pending although the relay has read past the point where it must have been.

    For each overdue row a barrier is noted: the end of the log at that moment. Only once the relay has stored
    everything up to the barrier and the row is still pending is it certain that the log does not have it.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._barrier: dict[int, Position] = {}
        self._waiting: list[int] = []
        self._pause = 0.0
        self._not_before = 0.0

    def sweep(self, stored_up_to: dict[int, Position]) -> int:
        """One look; ``stored_up_to`` says how far the relay has stored each partition. How many rows were sent.

        Raises :class:`~messaging.errors.BrokerError` or what redis-py raises when Redis is away.
        """
        if time.monotonic() < self._not_before:
            return 0
        if not self._waiting:
            overdue = datetime.now(UTC) - timedelta(seconds=conf.OUTBOX_GRACE_SECONDS)
            rows = Message.objects.using(conf.DATABASE).pending().filter(queued_at__lt=overdue)
            self._waiting = list(rows.order_by("pk").values_list("pk", flat=True)[:SWEEP_ROWS])
            if not self._waiting:
                self._pause = 0.0
                return 0
            self._barrier = {each: log.bounds(self._client, each).last for each in log.partitions()}
        if any(stored_up_to.get(partition, log.START) < end for partition, end in self._barrier.items()):
            return 0
        ids, self._waiting = self._waiting, []
        sent = 0
        for start in range(0, len(ids), SEND_ROWS):
            sent += send_rows(ids[start : start + SEND_ROWS], using=conf.DATABASE)
        if sent:
            logger.warning("%d messages of the outbox were not in the log and have been sent again", sent)
            self._pause = min(max(conf.OUTBOX_GRACE_SECONDS, self._pause * 2), 60.0)
            self._not_before = time.monotonic() + self._pause
        return sent


def pending_count(*, using: str | None = None) -> int:
    """How many rows wait."""
    return Message.objects.using(using or conf.DATABASE).pending().count()
