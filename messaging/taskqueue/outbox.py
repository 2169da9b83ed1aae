"""Jobs that wait for a commit -> rows of the caller's transaction -> the queue, until it is certain to have them.

A row is sent after the commit by the process that wrote it, and by the listener's sweeper if that process died or Redis
was away. A Redis that crashes may forget what it took in its last second, so that a row outlives its first sending: the
sweeper offers it once more, and removes it when the queue says that it has it. Its id is the job's: twice is once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

import msgspec
from django.conf import settings
from django.db import DatabaseError, connections
from django.db.models import F, QuerySet

from messaging.commits import Patience, send_after_commit
from messaging.conf import conf
from messaging.errors import BrokerError
from messaging.models import PendingTask
from messaging.taskqueue import confirming, queues
from messaging.taskqueue.calls import check
from messaging.taskqueue.durability import IN_MEMORY
from messaging.taskqueue.job import NewJob

logger = logging.getLogger("messaging.publish")

SEND_ROWS = 500  # rows of one query and one round trip
SECOND_LOOK = timedelta(
    minutes=10
)  # a row that was sent so long ago is not offered again: its job may be over
UNREADABLE_PAUSE = timedelta(hours=1)  # until a row that somebody spoiled by hand is looked at again
SWEEP_SECONDS = 1.0

_patience = Patience("task")
_decoder = msgspec.json.Decoder(NewJob)


class Waiting(NamedTuple):
    """A job and where it goes."""

    alias: str
    queue: str
    job: NewJob


def databases() -> list[str]:
    """The databases that may hold rows: MESSAGING's own, and those that backends name in ENQUEUE_ON_COMMIT."""
    found = {conf.DATABASE: None}
    tasks: Mapping[str, Any] = getattr(settings, "TASKS", {})
    for backend in tasks.values():
        named = backend.get("OPTIONS", {}).get("ENQUEUE_ON_COMMIT")
        if isinstance(named, str) and named in connections:
            found[named] = None
    return list(found)


def put(waiting: Sequence[Waiting], *, using: str, then: Callable[[], None]) -> None:
    """Jobs -> rows in the current transaction, sent after its commit; at once when there is none. ``then`` is called
    when they are committed, whether Redis has them already or not."""
    now = datetime.now(UTC)
    rows = PendingTask.objects.using(using).bulk_create(
        [
            PendingTask(
                job_id=job.id,
                backend=alias,
                queue=queue,
                task=job.task,
                body=job.body.decode(),
                options=msgspec.json.encode(msgspec.structs.replace(job, body=b"")).decode(),
                queued_at=now,
                look_at=now + timedelta(seconds=conf.OUTBOX_GRACE_SECONDS),
            )
            for alias, queue, job in waiting
        ],
        batch_size=SEND_ROWS,
    )
    ids = [row.job_id for row in rows]
    send_after_commit(
        "messaging.taskqueue.outbox", lambda names: _send_now(names, using=using), ids, using=using, then=then
    )


def _send_now(ids: Sequence[str], *, using: str) -> None:
    """Try once; what cannot be sent is the sweeper's."""
    for start in range(0, len(ids), SEND_ROWS):
        try:
            send_rows(PendingTask.objects.filter(job_id__in=ids[start : start + SEND_ROWS]), using=using)
        except (BrokerError, DatabaseError) as error:
            _patience.failed(len(ids) - start, error)
            return
    if ids:
        _patience.succeeded()


def send_rows(found: QuerySet[PendingTask], *, using: str, sweeping: bool = False) -> int:
    """Offer those of the rows that are committed to their queues, in the order they were written. A row that its queue
    had already is removed; one that is new there stays for a second look. How many were new. ``sweeping`` notes why
    the listener had to send it, and waits for the queue's DURABILITY: until it is confirmed the row stays."""
    rows = list(found.using(using).order_by("pk"))
    table = PendingTask.objects.using(using)
    jobs = {row.pk: job for row in rows if (job := _job_of(row)) is not None}
    if unreadable := {row.pk for row in rows}.difference(jobs):
        later = datetime.now(UTC) + UNREADABLE_PAUSE
        table.filter(pk__in=unreadable).update(look_at=later, resent="unreadable")
    readable = sorted((row for row in rows if row.pk in jobs), key=_home)
    return sum(
        _offer([(row, jobs[row.pk]) for row in group], *home, table=table, sweeping=sweeping)
        for home, group in groupby(readable, key=_home)
    )


def _offer(
    rows: list[tuple[PendingTask, NewJob]],
    alias: str,
    name: str,
    *,
    table: QuerySet[PendingTask],
    sweeping: bool,
) -> int:
    """Rows of one queue, whose answers are noted before another one may fail."""
    jobs = [job for _, job in rows]
    level = confirming.level_of(alias, name) if sweeping else IN_MEMORY
    missing = ""
    if level:
        with queues.breaking():
            answers, missing = confirming.enqueue(queues.queue(alias, name), jobs, level, must=False)
    else:
        answers = queues.queue(alias, name).enqueue(jobs)
    if sweeping:
        _say_unconfirmed(name, missing)
    answered = [(row, answer.is_new) for (row, _), answer in zip(rows, answers, strict=True)]
    new = [row for row, is_new in answered if is_new]
    known = [row.pk for row, is_new in answered if not is_new]
    now = datetime.now(UTC)
    look_at = now + timedelta(seconds=conf.OUTBOX_GRACE_SECONDS)
    if sweeping:
        for why, some in (
            ("unsent", [row.pk for row in new if row.sent_at is None]),
            ("lost", [row.pk for row in new if row.sent_at is not None]),
        ):
            if some:
                table.filter(pk__in=some).update(resent=why)
    if new:
        sent = table.filter(pk__in=[row.pk for row in new])
        sent.update(sent_at=now, look_at=look_at, sends=F("sends") + 1)
    if known and missing:
        table.filter(pk__in=known).update(look_at=look_at)
    elif known:
        table.filter(pk__in=known).delete()
    return len(new)


_unconfirmed: set[str] = set()  # queues of which it was said


def _say_unconfirmed(queue: str, missing: str) -> None:
    if missing and queue not in _unconfirmed:
        _unconfirmed.add(queue)
        minutes = SECOND_LOOK.total_seconds() / 60
        logger.warning(
            "tasks of queue %s stay in the outbox for up to %d minutes: %s", queue, minutes, missing
        )
    elif not missing:
        _unconfirmed.discard(queue)


def _home(row: PendingTask) -> tuple[str, str]:
    return row.backend, row.queue


def _job_of(row: PendingTask) -> NewJob | None:
    try:
        job = msgspec.structs.replace(_decoder.decode(row.options), body=row.body.encode())
        check(job)
        return job
    except ValueError:  # MsgspecError and InvalidMessage among them: somebody changed the row by hand
        logger.exception("row %s of the task outbox cannot be read and stays", row.pk)
        return None


def find(id: str, *, alias: str) -> tuple[str, NewJob] | None:
    """A job that still waits in an outbox, and its queue."""
    for using in databases():
        row = PendingTask.objects.using(using).filter(job_id=id, backend=alias).first()
        if row is not None and (job := _job_of(row)) is not None:
            return row.queue, job
    return None


def sweep() -> int:
    """One look at all rows that are due for one; how many were not in their queues and have been sent."""
    sent = 0
    for using in databases():
        table = PendingTask.objects.using(using)
        now = datetime.now(UTC)
        due = table.filter(look_at__lte=now).order_by("pk").values_list("pk", "sent_at")
        while found := list(due[:SEND_ROWS]):
            long_ago = [pk for pk, sent_at in found if sent_at is not None and sent_at < now - SECOND_LOOK]
            if long_ago:
                table.filter(pk__in=long_ago).delete()
            left = {pk for pk, _ in found}.difference(long_ago)
            sent += send_rows(table.filter(pk__in=left), using=using, sweeping=True)
    if sent:
        logger.warning("%d tasks of the outbox were not in their queues and have been sent", sent)
    return sent


def sweep_step(stopping: threading.Event) -> None:
    """What the listener does again and again."""
    if not sweep():
        stopping.wait(SWEEP_SECONDS)
