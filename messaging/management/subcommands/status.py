"""``manage.py messaging status``: how the broker stands -> a table or JSON, and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from django.core.management.base import CommandParser

from messaging.exits import UNHEALTHY
from messaging.log import Position
from messaging.management.terminal_command import Subcommands, TerminalCommand, parser_of
from messaging.outbox import REASONS
from messaging.quantities import capped
from messaging.readers import ReaderStanding
from messaging.status import ListenerStatus, LogStatus, Status, StoreStatus, look
from messaging.taskqueue.standing import MAX_WAIT, Standing, paused_words
from messaging.taskqueue.waiting import REASONS as TASK_REASONS
from messaging.terminal.arguments import seconds
from messaging.terminal.moments import time_of
from messaging.terminal.screen import Paint, counted, safe

MAX_LAG = 60.0

EPILOG = """examples:
  manage.py messaging status
  manage.py messaging status --json | jq .listener.lag_seconds
  manage.py messaging status --max-lag 5 || alert

exit codes: 0 healthy, 2 usage, 3 cannot start, 4 unhealthy: Redis or the database is away, no listener is in charge,
a part of it has failed, messages wait for longer than --max-lag, the log is nearly full, a reader is silent. What is in
quarantine and what was lost is shown, but is history. Of the queues: tasks wait in one that is paused or has no worker,
or for longer than --max-wait, or ten tasks of ten minutes are new dead letters."""


def add(subcommands: Subcommands) -> CommandParser:
    """The subcommand's parser."""
    parser = parser_of(
        subcommands,
        "status",
        help="how the log, the listener and the outbox stand; exit code 4 when something is wrong",
        description="How the log, the listener and the outbox stand.",
        epilog=EPILOG,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument(
        "--max-lag",
        type=seconds,
        default=MAX_LAG,
        metavar="SECONDS",
        help="a message that waits for longer is a problem (default: %(default)g)",
    )
    parser.add_argument(
        "--max-wait",
        type=seconds,
        default=MAX_WAIT,
        metavar="SECONDS",
        help="a ready task that waits for longer is a problem (default: %(default)g)",
    )
    return parser


def run(command: TerminalCommand, options: dict[str, Any]) -> None:
    """Look once, print, and end with 4 when something is wrong."""
    status = look(max_lag=options["max_lag"], max_wait=options["max_wait"])
    if options["json"]:
        command.put_object(status)
    else:
        for line in table(status, Paint.of(command.stdout, options)):
            command.stdout.write(line)
    command.stdout.flush()
    if not status.healthy:
        sys.exit(UNHEALTHY)


def table(status: Status, paint: Paint) -> Iterator[str]:
    """A status -> lines for a person."""
    yield _row("Redis", f"{status.redis}{f' ({status.server})' if status.server else ''}")
    for each in status.log:
        yield from _log(each, f"Log {each.partition}" if len(status.log) > 1 else "Log")
    if len(status.readers) > 1:  # besides the relay
        yield from readers(status.readers)
    if status.listener is not None:
        yield from _listener(status.listener)
    if status.store is not None:
        yield from _store(status.store)
    yield from queues(status.queues)
    limits = ", ".join(f"{name} {most:,}" for name, most in status.live_limits.items() if most)
    yield _row("Live limits", f"{limits or 'none'}; of each web process, see /metrics for what is open")
    yield ""
    if status.healthy:
        yield paint.green("Healthy.")
    for problem in status.problems:
        yield paint.red(safe(f"Problem: {problem}"))


def _log(log: LogStatus, name: str) -> Iterator[str]:
    if not log.epoch:
        yield _row(name, "not born yet: nothing has been published")
        return
    held = counted(log.entries, "entry", "entries")
    yield _row(name, f"{held}, at most {log.cap:,}; the newest {log.replay:,} are kept for replay")
    if log.first is not None:
        yield _row("  first", _place(log.first))
    if log.last is not None:
        yield _row("  last", _place(log.last))
    yield _row("  stored up to", "nothing yet" if log.stored_up_to is None else _place(log.stored_up_to))
    yield _row("  lag", f"{log.lag_seconds:,.1f} s" if log.lag_seconds else "none")
    yield _row("  epoch", log.epoch)


def _place(position: str) -> str:
    parsed = Position.parse(position)
    time = time_of(parsed)
    moment = "-" if time is None else f"{time:%Y-%m-%d %H:%M:%S}.{parsed.ms % 1000:03d}"
    return f"{moment}  {position}"


def _listener(listener: ListenerStatus) -> Iterator[str]:
    yield _row("Listener", f"{listener.owner}, heard {listener.reported_seconds_ago:.1f} s ago")
    yield _row("  since start", f"{listener.stored:,} stored, {listener.captured:,} of them captured")
    yield _row("  lag", f"{listener.lag_seconds:,.1f} s" if listener.lag_seconds else "none")


def readers(found: Sequence[ReaderStanding]) -> Iterator[str]:
    """Where each reader stands -> lines for a person."""
    for number, each in enumerate(found):
        place = "nothing yet" if each.position is None else _place(each.position)
        state = f"{each.behind_seconds:,.1f} s behind" if each.behind_seconds else "at the end"
        if each.is_silent:
            state += f", silent for {each.silent_seconds:,.0f} s"
        yield _row("" if number else "Readers", f"{each.reader}/{each.partition}  {place}  {state}")


def _store(store: StoreStatus) -> Iterator[str]:
    pending = f"{capped(store.outbox_pending)} pending"
    if store.outbox_pending:
        pending += f", the oldest for {store.outbox_oldest_seconds:,.1f} s"
    yield _row("Outbox", pending)
    if store.outbox_unsent:
        yield _row("  not sent yet", capped(store.outbox_unsent))
    if store.outbox_ordered:
        yield _row("  ordered", f"{capped(store.outbox_ordered)} wait for their turn")
    for reason, count in store.outbox_resent.items():
        yield _row("  sent again", f"{capped(count)}: {REASONS[reason]}")
    tasks = store.tasks
    if tasks.pending:
        yield _row(
            "Outbox, tasks", f"{capped(tasks.pending)} pending, the oldest for {tasks.oldest_seconds:,.1f} s"
        )
        if tasks.unsent:
            yield _row("  not sent yet", capped(tasks.unsent))
        for reason, count in tasks.resent.items():
            yield _row(
                "  " + ("unreadable" if reason == "unreadable" else "sent again"),
                f"{capped(count)}: {TASK_REASONS[reason]}",
            )
    yield _row("Quarantine", capped(store.quarantined) if store.quarantined else "empty")
    gaps = f"{capped(store.gaps)} recorded"
    yield _row("Gaps", gaps if store.latest_gap is None else f"{gaps}, the latest: {store.latest_gap}")


def queues(found: Sequence[Standing]) -> Iterator[str]:
    """Queues that hold something or are paused -> lines for a person."""
    for each in found:
        counts = each.counts
        numbers = {"ready": counts.ready, "running": counts.running, "delayed": counts.delayed}
        held = [f"{number:,} {name}" for name, number in (numbers | {"dead": counts.dead}).items() if number]
        if each.paused is not None:
            held.append(f"paused {safe(paused_words(each.paused))}")
        if held:
            workers = counted(each.workers, "worker") if each.workers else "no worker"
            yield _row("Queue", f"{safe(each.queue)}: {', '.join(held)}; {workers}")


def _row(name: str, value: str) -> str:
    return f"{name:<15} {value}"
