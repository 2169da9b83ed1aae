"""The log, the listener and the rows -> findings: does anything stand still, is anything missing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import redis
from django.db import DatabaseError, InterfaceError

from messaging import keys, log
from messaging.conf import conf
from messaging.doctor.facts import cli
from messaging.doctor.finding import Finding, note, ok, problem, warning
from messaging.log import Position
from messaging.models import Gap, Message
from messaging.quantities import capped, span
from messaging.readers import RELAY
from messaging.status import (
    NEARLY_FULL,
    ListenerStatus,
    LogStatus,
    Status,
    StoreStatus,
    look,
    store_status,
    stores_elsewhere,
)
from messaging.tables import lacking
from messaging.terminal.screen import counted

LATE, TOO_LATE = 5.0, 60.0  # seconds
FILLING = 0.7  # of the log's cap
MANY_ROWS = 5_000_000
RECENT = timedelta(days=1)


def examine(client: redis.Redis | None) -> Iterator[Finding]:
    """All of it; without a client, what the database says."""
    if client is None:
        if not lacking(conf.DATABASE):
            yield from _store(store_status()[0])
            yield from _rows()
        return
    status = look(max_lag=TOO_LATE)
    yield from _keys(client)
    elsewhere = stores_elsewhere(status, late=LATE)
    for each in status.log:
        yield from _log(each, several=len(status.log) > 1, elsewhere=elsewhere)
    yield from _readers(status)
    yield from _listener(status)
    if status.store is not None:
        yield from _store(status.store)
        yield from _rows()


# -- the log ------------------------------------------------------------------------------------------------------


def _keys(client: redis.Redis) -> Iterator[Finding]:
    """Keys of another type, and expiries where none belongs or one is missing."""
    names = [(name(each), kind) for each in log.partitions() for name, kind in _KINDS]
    expiring = (keys.lease(), keys.heartbeat())
    pipe = client.pipeline(transaction=False)
    for name, _ in names:
        pipe.execute_command("TYPE", name)
        pipe.execute_command("PTTL", name)
    for name in expiring:
        pipe.execute_command("PTTL", name)
    replies = pipe.execute(raise_on_error=False)
    for name, kind in names:
        found, left = replies.pop(0), replies.pop(0)
        if isinstance(found, bytes) and found not in (kind, b"none"):
            yield problem(
                "keys",
                f"{name} is a {found.decode()}, not a {kind.decode()}",
                why="Somebody else uses the same names: every publish() and every reader fails (WRONGTYPE).",
                remedy="Set another MESSAGING['NAMESPACE'], or remove what does not belong there:",
                command=f"{cli()} RENAME {name} {name}:foreign",
            )
        elif isinstance(left, int) and left >= 0:
            yield problem(
                "keys",
                f"{name} expires in {span(left)}",
                why="Then the whole log is gone at once; we never set an expiry on it.",
                command=f"{cli()} PERSIST {name}",
            )
    for name in expiring:
        if replies.pop(0) == -1:
            yield problem(
                "keys",
                f"{name} has no expiry",
                why="A listener that has died would be in charge for ever, and no other takes over.",
                command=f"{cli()} DEL {name}",
            )


_KINDS = ((keys.log, b"stream"), (keys.epoch, b"string"), (keys.fence, b"string"))


def _log(status: LogStatus, *, several: bool, elsewhere: str) -> Iterator[Finding]:
    topic = f"log {status.partition}" if several else "log"
    share = status.entries / status.cap
    what = f"{counted(status.entries, 'entry', 'entries')} of {status.cap:,} ({share:.0%})"
    if not status.entries and not status.epoch:
        yield ok(topic, "not born yet: nothing has been published")
        return
    if share < FILLING:
        yield ok(topic, what)
    else:
        yield (problem if share >= NEARLY_FULL else warning)(
            topic,
            what,
            why="At the cap publish() raises BrokerFull. Entries leave the log only after they have been stored.",
            remedy="See that a listener runs and keeps up; lower REPLAY_ENTRIES or raise MAX_LOG_ENTRIES for room.",
        )
    if status.entries and not status.epoch:
        yield warning(
            topic,
            "the log has no epoch",
            why="Without it the relay cannot tell this log from another after a loss. The next publish() sets one.",
            command="manage.py publish doctor '\"an epoch\"'",
        )
    ahead = 0.0 if status.last is None else Position.parse(status.last).ms / 1000 - time.time()
    if ahead > LATE:
        yield warning(
            topic,
            f"its last position is {span(ahead * 1000)} in the future",
            why="A clock was set back: new positions keep the old time until it has caught up, and times are wrong.",
            remedy="Nothing is lost. Run a time service on the machine of Redis.",
        )
    if status.lag_seconds < LATE:
        yield ok(
            "relay",
            f"{'everything is stored' if not status.lag_seconds else f'{status.lag_seconds:.1f} s behind'}",
        )
    else:
        yield (problem if status.lag_seconds >= TOO_LATE else warning)(
            "relay",
            f"an entry has not been stored for {span(status.lag_seconds * 1000)}",
            why=elsewhere or "The table, the admin and the subscribers are behind; the log fills up.",
            remedy=""
            if elsewhere
            else "See the listener's log; is one running, and does the database answer?",
            command='MESSAGING["NAMESPACE"] = "another-name"' if elsewhere else "manage.py messaging status",
        )


def _readers(status: Status) -> Iterator[Finding]:
    """Those that hold the log up."""
    silent = [each for each in status.readers if each.is_silent and each.reader != RELAY]
    for each in silent:
        yield problem(
            "readers",
            f"{each.reader} has been silent for {span(each.silent_seconds * 1000)} in partition {each.partition}",
            why="What it has not read is not trimmed: the log grows up to its cap, then publish() raises BrokerFull.",
            remedy="See to it that it runs; if it will not come back:",
            command=f"manage.py messaging retire {each.reader}",
        )
    if status.readers and not silent:
        names = ", ".join(sorted({each.reader for each in status.readers}))
        yield ok("readers", f"{names}: the log is trimmed behind the slowest")


# -- the listener -------------------------------------------------------------------------------------------------


def _listener(status: Status) -> Iterator[Finding]:
    listener: ListenerStatus | None = status.listener
    if listener is None:
        yield problem(
            "listener",
            "none is in charge",
            why="Nothing is stored, nothing foreign is captured, the outbox of processes that died is not sent.",
            remedy="Run one (or two: the second stands by), or set MESSAGING['LISTEN_IN_WEB'] = True:",
            command="manage.py listen",
        )
        return
    yield ok("listener", f"{listener.owner}, heard {listener.reported_seconds_ago:.1f} s ago")
    for part, failure in sorted(listener.failures.items()):
        yield problem(
            "listener",
            f"its {part}: {failure}",
            why="This part waits; it goes on by itself when the cause is gone.",
            remedy="See the listener's log for the error.",
        )


# -- the rows -----------------------------------------------------------------------------------------------------


def _store(store: StoreStatus) -> Iterator[Finding]:
    pending = f"{capped(store.outbox_pending)} pending"
    if not store.outbox_pending:
        yield ok("outbox", "empty")
    elif store.outbox_oldest_seconds < TOO_LATE:
        yield ok("outbox", pending)
    else:
        if store.outbox_resent:
            pending += f" ({', '.join(f'{count:,} {why}' for why, count in store.outbox_resent.items())})"
        yield problem(
            "outbox",
            f"{pending}, the oldest for {span(store.outbox_oldest_seconds * 1000)}",
            why="These messages were committed and have not arrived; nothing is lost as long as the rows are there.",
            remedy="They are sent by the listener once Redis takes them: see its log, and the state of Redis above.",
        )
    if store.quarantined:
        yield warning(
            "quarantine",
            f"{capped(store.quarantined)} in quarantine",
            why="Entries that are no events, or that the database refused: they are not in the table.",
            remedy="Look at them in the admin, each with its bytes and the reason, and mend who published them.",
        )
    else:
        yield ok("quarantine", "empty")
    yield _gaps(store)


def _gaps(store: StoreStatus) -> Finding:
    if not store.gaps:
        return ok("gaps", "none recorded")
    latest = Gap.objects.using(conf.DATABASE).order_by("-noticed_at").first()
    recent = latest is not None and datetime.now(UTC) - latest.noticed_at < RECENT
    return (warning if recent else note)(
        "gaps",
        f"{capped(store.gaps)} recorded, the latest: {store.latest_gap}",
        why="There the log lost entries that may not have been stored; what went through the outbox was sent again.",
        remedy="See what happened to Redis at that time; then remove the record in the admin.",
    )


def _rows() -> Iterator[Finding]:
    """A table that only grows. By the span of its keys, since counting it would read it."""
    if conf.PRUNE_DAYS or conf.PRUNE_ROWS:
        return
    try:
        rows = Message.objects.using(conf.DATABASE).order_by("pk").values_list("pk", flat=True)
        oldest, newest = rows.first(), rows.last()
    except (DatabaseError, InterfaceError):
        return
    if oldest is not None and newest is not None and newest - oldest >= MANY_ROWS:
        yield note(
            "table",
            f"about {newest - oldest + 1:,} rows, and nothing removes old ones",
            why="The table only grows.",
            remedy="Set MESSAGING['PRUNE_DAYS'] or ['PRUNE_ROWS'], or now and then:",
            command="manage.py messaging prune --days 90",
        )
