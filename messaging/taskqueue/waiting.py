"""The outbox of tasks -> how many rows wait there, since when and why. One query of a bounded number of rows."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from django.db.models import Count, Min, Q

from messaging.models import PendingTask
from messaging.quantities import COUNTED
from messaging.taskqueue.outbox import databases

REASONS = {  # what the listener found when it looked at a row
    "unsent": "it had not been sent: its process ended before, or Redis was away",
    "lost": "it had been sent, and its queue did not have it any more",
    "unreadable": "it cannot be read: somebody changed the row by hand",
}


class WaitingTasks(msgspec.Struct, kw_only=True):
    """Tasks that were enqueued in a transaction and are not certain to be in their queues yet."""

    pending: int = 0
    oldest_seconds: float = 0.0
    unsent: int = 0  # of them never sent
    resent: dict[str, int] = {}  # of them found by the listener, by what it found: a key of REASONS


def look() -> WaitingTasks:
    """All databases that may hold such rows; raises what the database raises."""
    found = WaitingTasks()
    now = datetime.now(UTC)
    for using in databases():
        rows = PendingTask.objects.using(using).order_by("pk")[:COUNTED]  # the oldest
        told = rows.aggregate(
            pending=Count("pk"),
            oldest=Min("queued_at"),
            never_sent=Count("pk", filter=Q(sent_at=None)),
            **{why: Count("pk", filter=Q(resent=why)) for why in REASONS},
        )
        if told["oldest"] is None:
            continue
        age = max(0.0, (now - told["oldest"]).total_seconds())
        found.oldest_seconds = max(found.oldest_seconds, round(age, 3))
        found.pending += told["pending"]
        found.unsent += told["never_sent"]
        for why in REASONS:
            if count := told[why]:
                found.resent[why] = found.resent.get(why, 0) + count
    return found
