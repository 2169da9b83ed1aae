"""Pending rows -> the log, again and again until the relay has stored them.

A pending row is a ``Message`` without a position, written in the caller's transaction. It is sent after the commit by
the process that wrote it, and by the listener's sweeper if that process died or Redis was away or lost it. The relay
settles it, in the transaction that stores its message: Redis saying OK is not enough, since Redis may forget.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import redis
from django.db import DatabaseError, transaction
from django.db.models import F

from messaging import log
from messaging.commits import Patience, send_after_commit
from messaging.conf import conf
from messaging.errors import BrokerError
from messaging.event import Event, encode
from messaging.log import Bounds, Position
from messaging.models import Message
from messaging.ordered import is_ordered, take_turn
from messaging.rows import pending_row
from messaging.sender import Prepared, send_what_fits, unsent

logger = logging.getLogger("messaging.publish")

SEND_ROWS = 500  # rows that one query reads and one round trip sends
SWEEP_ROWS = 10_000  # rows that a sweep looks at
STUBBORN = (
    3  # a row that was sent so often and is not stored is tried again, but rarely and behind all others
)
SAY_SECONDS = 10.0  # between two lines about what had to be sent again
LONGEST_PAUSE = 60.0  # seconds between two tries of stubborn rows

REASONS = {  # why the listener had to send a row
    "unsent": "it had not been sent: its process ended before, or Redis was away",
    "lost": "it had been sent, and the relay did not find it in the log",
}

_patience = Patience("message")

_Name = tuple[str, str]  # an event's id and source


def put(prepared: Sequence[Prepared]) -> list[Event]:
    """Events -> pending rows in the current transaction, sent after its commit; at once when there is none.

    Those of ordered channels are left to the listener (:mod:`messaging.ordered`). An event that has a row already (the
    caller's own id, used again) is not written a second time. Where transactions are managed by hand
    (``set_autocommit(False)``) nobody tells of the commit, and the sweeper sends.
    """
    using = conf.DATABASE
    now = datetime.now(UTC)
    once = {(event.id, event.source): event for event, _ in prepared}
    ordered = {event.channel for event in once.values() if is_ordered(event.channel)}
    rows = [pending_row(event, now, ordered=event.channel in ordered) for event in once.values()]
    if ordered:
        with transaction.atomic(using=using, savepoint=False):
            take_turn(ordered, using=using)
            _write(rows, using=using)
    else:
        _write(rows, using=using)
    ids = [(row.event_id, row.source) for row in rows if not row.ordered]
    if not ids:
        return [event for event, _ in prepared]
    send_after_commit("messaging.outbox", lambda names: _send_now(names, using=using), ids, using=using)
    return [event for event, _ in prepared]


def _write(rows: list[Message], *, using: str) -> None:
    """Insert them; each row is told its key."""
    Message.objects.using(using).bulk_create(
        rows,
        batch_size=SEND_ROWS,
        update_conflicts=True,  # of this one index; it changes nothing, and tells the row
        unique_fields=["event_id", "source"],
        update_fields=["event_id"],
    )


def _send_now(ids: Sequence[_Name], *, using: str) -> None:
    """Try once. What cannot be sent stays pending, and the sweeper sends it."""
    for start in range(0, len(ids), SEND_ROWS):
        some = set(ids[start : start + SEND_ROWS])
        rows = Message.objects.using(using).filter(
            event_id__in={event_id for event_id, _ in some}, ordered=False
        )
        try:
            send_rows(
                [row for row in rows.pending().order_by("pk") if (row.event_id, row.source) in some],
                using=using,
            )
        except (BrokerError, DatabaseError) as error:
            _patience.failed(len(ids) - start, error)
            return
    if ids:
        _patience.succeeded()


def send_rows(rows: Sequence[Message], *, using: str) -> int:
    """Send rows that are committed and still pending, in the order given; how many.

    Raises a :class:`~messaging.errors.BrokerError` when Redis does not take all of them.
    """
    prepared: list[Prepared] = []
    waits: dict[_Name, int] = {}  # key of its row
    tried: list[int] = []
    for row in rows:
        try:
            event = row.as_event()
            prepared.append((event, encode(event)))
            waits[event.id, event.source] = row.pk
        except ValueError:  # InvalidMessage among them: somebody changed the row by hand
            tried.append(row.pk)
            logger.exception("outbox row %s cannot be encoded and stays pending", row.pk)
    try:
        while left := unsent(prepared):
            send_what_fits(left)
    finally:
        tried += [waits[event.id, event.source] for event, _ in prepared if event.location is not None]
        Message.objects.using(using).filter(pk__in=tried).update(sends=F("sends") + 1)
    return len(prepared)


class Sweeper:
    """Sends again what is pending although the relay has read past the point where it must have been.

    For each overdue row a barrier is noted: the end of the log at that moment. Only once the relay has stored
    everything up to the barrier and the row is still pending is it certain that the log does not have it. A log that
    has lost that end, or is another one, will never be read up to it: then a new barrier is noted.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._barrier: dict[int, Bounds] = {}
        self._waiting: list[int] = []
        self._pause = 0.0
        self._not_before = 0.0
        self._unsaid = 0  # rows that were sent, and no line says so yet
        self._say_at = 0.0

    def sweep(self, stored_up_to: dict[int, Position]) -> int:
        """One look; ``stored_up_to`` says how far the relay has stored each partition. How many rows were sent.

        Raises :class:`~messaging.errors.BrokerError` or what redis-py raises when Redis is away.
        """
        self._say()
        if not self._waiting:
            self._waiting = self._overdue()
            if not self._waiting:
                return 0
            self._barrier = {each: log.bounds(self._client, each) for each in log.partitions()}
        for partition, barrier in self._barrier.items():
            if stored_up_to.get(partition, log.START) < barrier.last:
                now = log.bounds(self._client, partition)
                if now.epoch != barrier.epoch or now.last < barrier.last:
                    self._waiting = []
                return 0
        ids, self._waiting = self._waiting, []
        sent = 0
        for start in range(0, len(ids), SEND_ROWS):
            some = ids[start : start + SEND_ROWS]
            _note_why(some, using=conf.DATABASE)
            rows = Message.objects.using(conf.DATABASE).pending().filter(pk__in=some).order_by("pk")
            sent += send_rows(list(rows), using=conf.DATABASE)
        self._unsaid += sent
        self._say()
        return sent

    def _say(self) -> None:
        """At once, then now and then: while a fail-over leaves two masters, every sweep finds some."""
        if self._unsaid and time.monotonic() >= self._say_at:
            logger.warning("%d messages of the outbox were not in the log and have been sent", self._unsaid)
            self._unsaid, self._say_at = 0, time.monotonic() + SAY_SECONDS

    def _overdue(self) -> list[int]:
        """Rows that should have been stored by now, in the order they were written."""
        overdue = datetime.now(UTC) - timedelta(seconds=conf.OUTBOX_GRACE_SECONDS)
        rows = Message.objects.using(conf.DATABASE).pending().filter(queued_at__lt=overdue)
        if conf.ORDERED_CHANNELS:  # else what is left of them is sent as all others
            rows = rows.filter(ordered=False)
        ids = rows.order_by("pk").values_list("pk", flat=True)
        found = list(ids.filter(sends__lt=STUBBORN)[:SWEEP_ROWS])
        if not found and time.monotonic() >= self._not_before:
            found = list(ids[:SEND_ROWS])
            self._pause = min(max(1.0, self._pause * 2), LONGEST_PAUSE) if found else 0.0
            self._not_before = time.monotonic() + self._pause
        return found


def _note_why(ids: Sequence[int], *, using: str) -> None:
    """Before they are sent, so that the relay knows when it settles them."""
    rows = Message.objects.using(using).pending().filter(pk__in=ids)
    rows.filter(sends=0).exclude(resent="unsent").update(resent="unsent")
    rows.filter(sends__gt=0).exclude(resent="lost").update(resent="lost")
