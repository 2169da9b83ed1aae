"""Redis and the database, each asked once -> how the broker stands, and what is wrong with it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import msgspec
import redis
from django.db import DatabaseError, InterfaceError

from messaging import connection, lease, log, timetable
from messaging.conf import conf
from messaging.errors import BrokerError
from messaging.listener import report_of
from messaging.live.limits import caps
from messaging.log import START, Position
from messaging.models import Cursor, Gap, Message, Quarantine
from messaging.outbox import REASONS
from messaging.quantities import COUNTED
from messaging.readers import RELAY, ReaderStanding, standings
from messaging.tables import lacking
from messaging.taskchecks import check_task_settings
from messaging.taskqueue import standing, waiting
from messaging.taskqueue.standing import MAX_WAIT
from messaging.taskqueue.waiting import WaitingTasks

NEARLY_FULL = 0.9  # of MAX_LOG_ENTRIES: what is left may be minutes
MOMENT = 10.0  # seconds that a listener's report may be old, and what it says of its lag too good


class LogStatus(msgspec.Struct, kw_only=True):
    """One partition of the log, and how far it is stored. Times are milliseconds since 1970."""

    partition: int
    epoch: str  # "" before the first message
    entries: int
    cap: int  # publish() refuses there
    replay: int  # so many stored entries are kept
    first: str | None
    last: str | None
    stored_up_to: str | None  # None: nothing of it yet
    lag_seconds: float  # age of the oldest entry behind that


class ListenerStatus(msgspec.Struct, kw_only=True):
    """The listener in charge, as it last reported."""

    owner: str
    reported_seconds_ago: float
    stored: int
    captured: int
    lag_seconds: float
    failures: dict[str, str]


class StoreStatus(msgspec.Struct, kw_only=True):
    """The database. Numbers are counted up to 10,000."""

    outbox_pending: int
    outbox_oldest_seconds: float
    outbox_unsent: int  # of them never sent
    outbox_ordered: int  # of them of ordered channels, which wait for their turn
    outbox_resent: dict[str, int]  # of them sent by the listener, by why: a key of messaging.outbox.REASONS
    tasks: WaitingTasks  # of the outbox too: enqueued in a transaction
    quarantined: int
    gaps: int
    latest_gap: str | None


class Status(msgspec.Struct, kw_only=True):
    """Everything that ``manage.py messaging status`` says. What could not be asked is ``None`` or empty."""

    healthy: bool
    problems: list[str]
    redis: str
    server: str = ""
    log: list[LogStatus] = []
    readers: list[ReaderStanding] = []
    listener: ListenerStatus | None = None
    store: StoreStatus | None = None
    live_limits: dict[str, int] = {}  # of the live streams in each web process, by name; 0: none
    queues: list[standing.Standing] = []


def look(*, max_lag: float, max_wait: float = MAX_WAIT) -> Status:
    """Ask Redis and the database, past the circuit breaker. A schedule, a list or a threshold that cannot work is a
    problem; so are more than ``max_lag`` seconds of lag, and a ready task that has waited for more than ``max_wait``.
    """
    status = Status(healthy=True, problems=[], redis=connection.where(), live_limits=caps())
    status.problems += [each.msg for each in check_task_settings() if each.is_serious()]
    cursors = _database(status, max_lag)
    _redis(status, cursors, max_lag)
    if status.server:
        _queues(status, max_wait)
    status.healthy = not status.problems
    return status


def _database(status: Status, max_lag: float) -> dict[int, Cursor]:
    try:
        if missing := lacking(conf.DATABASE):
            status.problems.append(f"the database lacks {missing}: run manage.py migrate")
            return {}
        status.store, found = store_status()
    except (DatabaseError, InterfaceError) as error:
        status.problems.append(f"the database is away: {str(error).strip()}")
        return {}
    if status.store.outbox_oldest_seconds > max_lag:
        status.problems.append(
            f"the outbox holds a message that has been waiting for {status.store.outbox_oldest_seconds:,.0f} s"
        )
    if status.store.tasks.oldest_seconds > max_lag:
        status.problems.append(
            f"the outbox holds a task that has been waiting for {status.store.tasks.oldest_seconds:,.0f} s"
        )
    return found


def store_status() -> tuple[StoreStatus, dict[int, Cursor]]:
    """What the database says, and the relay's position by partition; raises what the database raises."""
    gap = Gap.objects.using(conf.DATABASE).order_by("-noticed_at").first()
    store = StoreStatus(
        **outbox_status(),
        tasks=waiting.look(),
        quarantined=_counted(Quarantine.objects.using(conf.DATABASE)),
        gaps=_counted(Gap.objects.using(conf.DATABASE)),
        latest_gap=None if gap is None else f"{gap.noticed_at:%Y-%m-%d %H:%M:%S} {gap}",
    )
    cursors = Cursor.objects.using(conf.DATABASE).filter(reader=RELAY)
    return store, {cursor.partition: cursor for cursor in cursors}


def outbox_status() -> dict[str, Any]:
    """The ``outbox_...`` fields of :class:`StoreStatus`."""
    pending = Message.objects.using(conf.DATABASE).pending()
    oldest = pending.order_by("queued_at").values_list("queued_at", flat=True).first()
    some = oldest is not None
    age = (datetime.now(UTC) - oldest).total_seconds() if oldest is not None else 0.0
    resent = {reason: _counted(pending.filter(resent=reason)) if some else 0 for reason in REASONS}
    return {
        "outbox_pending": _counted(pending),
        "outbox_oldest_seconds": round(age, 3),
        "outbox_unsent": _counted(pending.filter(sends=0)) if some else 0,
        "outbox_ordered": _counted(pending.filter(ordered=True)) if some else 0,
        "outbox_resent": {reason: count for reason, count in resent.items() if count},
    }


def _counted(rows: Any) -> int:
    return int(rows.all()[:COUNTED].count())


def _redis(status: Status, cursors: dict[int, Cursor], max_lag: float) -> None:
    try:
        client = connection.client(timeout=5.0)
        server = client.info("server")
        name = server.get("server_name") or "redis"
        status.server = f"{name} {server.get(f'{name}_version') or server.get('redis_version', '')}"
        status.log = [log_status(client, each, cursors.get(each)) for each in log.partitions()]
        if status.store is not None:
            status.readers = _readers(status, client)
        beat = report_of(lease.last_beat(client))
    except redis.RedisError as error:
        status.problems.append(f"Redis is away: {error}")
        return
    for each in status.log:
        name = f"partition {each.partition} of the log" if len(status.log) > 1 else "the log"
        if each.entries >= NEARLY_FULL * each.cap:
            status.problems.append(f"{name} is nearly full: {each.entries:,} of {each.cap:,} entries")
        if each.lag_seconds > max_lag:
            status.problems.append(
                f"{name} has an entry that has not been stored for {each.lag_seconds:,.0f} s"
            )
    if beat is None:
        status.problems.append("no listener is in charge: run manage.py listen")
        return
    status.listener = ListenerStatus(
        owner=beat.owner,
        reported_seconds_ago=round(max(0.0, time.time() - beat.at), 1),
        stored=beat.stored,
        captured=beat.captured,
        lag_seconds=beat.lag_seconds,
        failures=beat.failures,
    )
    if elsewhere := stores_elsewhere(status, late=max_lag):
        status.problems.append(elsewhere)
    status.problems += [
        f"the listener's {part}: {failure}" for part, failure in sorted(beat.failures.items())
    ]


def stores_elsewhere(status: Status, *, late: float) -> str:
    """A listener that is in charge, well, and not behind, while this database lacks what it says it has stored: then
    two sites share the keys of one Redis, and it is the other one's. "" if it does not look so."""
    beat = status.listener
    lag = max((each.lag_seconds for each in status.log), default=0.0)
    if beat is None or beat.failures or lag <= max(late, MOMENT) or beat.lag_seconds > lag / 2:
        return ""
    return (
        f"listener {beat.owner} says that it has stored what this database lacks: another site shares this Redis, give "
        "each its own MESSAGING['NAMESPACE']"
    )


def _queues(status: Status, max_wait: float) -> None:
    try:
        status.queues = standing.look(standing.all_queues())
        if conf.SCHEDULE:
            status.problems += timetable.problems(timetable.look()[0])
    except BrokerError as error:
        status.problems.append(f"the queues cannot be asked: {error}")
        return
    status.problems += [
        str(problem) for each in status.queues for problem in standing.problems(each, max_wait)
    ]


def _readers(status: Status, client: redis.Redis) -> list[ReaderStanding]:
    try:
        found = standings(client)
    except (DatabaseError, InterfaceError):
        return []  # it was there a moment ago; the next look says so
    for name in sorted({each.reader for each in found if each.is_silent and each.reader != RELAY}):
        silent = max(each.silent_seconds for each in found if each.reader == name)
        status.problems.append(
            f"reader {name!r} has been silent for {silent:,.0f} s, and the log is not trimmed beyond it: see to it "
            f"that it runs, or manage.py messaging retire {name}"
        )
    return found


def log_status(client: redis.Redis, partition: int, cursor: Cursor | None) -> LogStatus:
    """What a partition of the log holds, and how far it is stored; raises what redis-py raises."""
    bounds = log.bounds(client, partition)
    at = START
    if (
        cursor is not None and cursor.epoch == bounds.epoch
    ):  # of another epoch, nothing of this log is stored yet
        at = Position(cursor.log_ms, cursor.log_seq)
    oldest = log.read(client, partition, at, count=1) if at < bounds.last else []
    seconds, microseconds = client.time()  # positions are of Redis's clock
    now = seconds + microseconds / 1e6
    return LogStatus(
        partition=partition,
        epoch=bounds.epoch,
        entries=bounds.entries,
        cap=conf.MAX_LOG_ENTRIES,
        replay=conf.REPLAY_ENTRIES,
        first=None if bounds.first is None else str(bounds.first),
        last=str(bounds.last) if bounds.last > START else None,
        stored_up_to=str(at) if at > START else None,
        lag_seconds=max(0.0, round(now - oldest[0].position.ms / 1000, 3)) if oldest else 0.0,
    )
