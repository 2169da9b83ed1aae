"""``manage.py messaging replay``: options -> a span of the log, stored or published again."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from typing import Any

import redis
from django.core.management.base import CommandParser
from django.db import DatabaseError, InterfaceError
from redis.exceptions import RedisError

from messaging import connection
from messaging.errors import BrokerError
from messaging.exits import FAILED, USAGE
from messaging.log import Position
from messaging.management.terminal_command import Subcommands, TerminalCommand, parser_of
from messaging.replayer import publish_again
from messaging.restorer import restore
from messaging.span import END, LogChanged, Replay, Totals
from messaging.terminal.arguments import moment, number
from messaging.terminal.moments import clock
from messaging.terminal.screen import Rate, StatusLine, counted, is_terminal
from messaging.terminal.stopping import Stop

EPILOG = """examples:
  manage.py messaging replay --since 0-0 --to table
                                         read all that the log holds; store what the table lacks
  manage.py messaging replay --since 1h --channel 'orders.*' --to subscribers --dry-run
                                         how many messages that would publish again
  manage.py messaging replay --since 1d --to subscribers shop.subscribers.bill
                                         bring a day's events to that @subscribe function once more, as tasks
  manage.py messaging replay --since 2026-01-31T09:00 --until 2026-01-31T10:00 --to subscribers --rate 50
                                         that hour, 50 messages a second

WHEN: 90s, 10m, 2h, 1d ago, an ISO time, or behind a position such as 1763765275123-0; --until includes its position.

To the table: rows that are there stay as they are, so it may be done at any time. To subscribers: the bytes that were
stored go out once more on Pub/Sub, with the same ids, from the table where the log has them no more. Listeners of ours
do not record them again; subscribers that are not ours should know an id that they have seen. With names of @subscribe
functions they become tasks of these, whether an earlier one has succeeded or not, and go nowhere else.

exit codes: 0 done, 1 Redis or the database is away, some were refused, or ended by INT or TERM (it says how to go on),
2 usage, 3 cannot start."""

SHOWN_EVERY = 0.2  # seconds
RATE = 1000.0  # messages a second

storable = partial(moment, latest_ms=END.ms)  # the table has no column for later ones


def add(subcommands: Subcommands) -> CommandParser:
    """The subcommand's parser."""
    parser = parser_of(
        subcommands,
        "replay",
        help="store a part of the log again in the table, or publish it again to subscribers",
        description="Store a part of the log again in the table, or publish it again to subscribers.",
        epilog=EPILOG,
    )
    parser.add_argument("--since", type=storable, required=True, metavar="WHEN", help="begin there")
    parser.add_argument(
        "--until", type=storable, metavar="WHEN", help="end there (default: what is there now)"
    )
    parser.add_argument(
        "--channel",
        action="append",
        default=[],
        dest="channels",
        metavar="PATTERN",
        help="only these channels, as names or Redis globs; repeatable (default: all)",
    )
    parser.add_argument(
        "--to",
        nargs="+",
        required=True,
        action=Destination,
        metavar=("{table,subscribers}", "NAME"),
        help="where to; subscribers without a name are those of Pub/Sub, with names those of @subscribe",
    )
    parser.add_argument(
        "--rate",
        type=number("a number of messages a second"),
        metavar="N",
        help=f"messages a second to subscribers; 0 = as fast as it goes (default: {RATE:g})",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="store and publish nothing, say how many it would be"
    )
    parser.add_argument(
        "--quiet", action="store_true", help="no progress line (default: shown when stderr is a terminal)"
    )
    return parser


def run(command: TerminalCommand, options: dict[str, Any]) -> None:
    """Replay until it is done or a signal comes."""
    replay = Replay(options["since"], options["until"], options["channels"])
    if replay.until is not None and replay.until <= replay.since:
        command.end(USAGE, "Nothing to replay: --until is not behind --since.")
    to, *names = options["to"]
    dry_run, table = options["dry_run"], to == "table"
    if table and options["rate"] is not None:
        command.end(USAGE, "--rate is for subscribers: the table takes what it can.")
    command.need_tables()  # else each message would be refused for want of them
    pace = Pace(math.inf if dry_run or table else RATE if options["rate"] is None else options["rate"])
    client = connection.client()
    if names:
        steps: Iterator[Totals] = _as_tasks(command, client, replay, names, batch=pace.batch, dry_run=dry_run)
    elif table:
        steps = restore(client, replay, dry_run=dry_run)
    else:
        steps = publish_again(client, replay, batch=pace.batch, dry_run=dry_run)
    shown = is_terminal(command.stderr) and not options["quiet"]
    totals, failure, progress = Totals(at=replay.since), "", Progress(replay.until)
    with Stop() as stop, StatusLine(command.talk, shown=shown) as status:
        try:
            for totals in steps:
                progress.show(totals, status)
                if stop.asked:
                    break
                stop.pause(pace.wait(totals.done))
        except RedisError as error:
            heard = "" if table else " (part of a batch may have been heard)"
            failure = f"Redis is away{heard}: {str(error).rstrip('.')}"
        except (DatabaseError, InterfaceError) as error:
            failure = f"The database is away: {str(error).strip()}"
        except (LogChanged, BrokerError) as error:
            failure = f"Not replayed: {error}"
    command.say(summary(totals, table=table, dry_run=dry_run, tasks=bool(names)))
    if failure or stop.asked:
        go_on = "Do it again: what is stored stays." if table else f"Go on with --since {totals.at}."
        command.end(FAILED, f"{failure or 'Ended before its end'}. {go_on}")
    if totals.refused:
        command.end(
            FAILED,
            f"{counted(totals.refused, 'message')} refused by {'the database' if table else 'Redis (ACL)'}.",
        )
    if totals.done and not totals.heard and not table and not dry_run and not names:
        command.say(command.paint.yellow("Nobody was listening."))


def _as_tasks(
    command: TerminalCommand, client: redis.Redis, replay: Replay, names: list[str], **options: Any
) -> Iterator[Totals]:
    """As tasks of subscribers; what knows them asks for Django's Tasks, which a site need not have."""
    redelivery = import_module("messaging.redelivery")
    try:
        steps: Iterator[Totals] = redelivery.redeliver(client, replay, names, **options)
    except LookupError as error:
        command.end(USAGE, str(error.args[0]))
    except (DatabaseError, InterfaceError) as error:
        command.end_without_database(error)
    return steps


class Pace:
    """Not more than ``rate`` a second, from the start on; 0 and infinity are no limit."""

    def __init__(self, rate: float) -> None:
        self._rate = rate or math.inf
        self._began = time.monotonic()

    @property
    def batch(self) -> int:
        """So many at once: a tenth of a second's."""
        return max(1, int(min(500.0, self._rate / 10)))

    def wait(self, done: int) -> float:
        """Seconds until the next batch is due."""
        return max(0.0, self._began + done / self._rate - time.monotonic())


class Progress:
    """Totals -> the status line, a few times a second."""

    def __init__(self, until: Position | None) -> None:
        self._until = until
        self._rate = Rate()
        self._next = 0.0

    def show(self, totals: Totals, status: StatusLine) -> None:
        """Replace the line, if it is time."""
        if (now := time.monotonic()) >= self._next:
            self._next = now + SHOWN_EVERY
            rate = self._rate.of(totals.read)
            status.show(f"{totals.read:,} read, {rate:,.0f}/s, {totals.done:,} done, at {clock(totals.at)}")


def summary(totals: Totals, *, table: bool, dry_run: bool, tasks: bool = False) -> str:
    """What became of them, in a sentence."""
    text = f"{counted(totals.read, 'entry', 'entries')} read"
    if totals.first is not None:
        text += f", wanted from {clock(totals.first)} on"
    text += ": "
    if table:
        text += f"{totals.done:,} {'would be ' if dry_run else ''}stored, {totals.known:,} already there"
    else:
        text += counted(totals.done, "task" if tasks else "message")
        text += f" {'would be ' if dry_run else ''}{'enqueued' if tasks else 'published again'}"
        if totals.from_table:
            text += f", {totals.from_table:,} of them from the table"
        if not dry_run and not tasks:
            text += f", {counted(totals.heard, 'delivery', 'deliveries')} to subscribers"
    if other := totals.read - totals.wanted - totals.unreadable:
        text += f", {other:,} of other channels"
    if totals.unreadable:
        text += f", {totals.unreadable:,} unreadable"
    return f"{text}."


# -- what options mean --------------------------------------------------------------------------------------------


class Destination(argparse.Action):
    """``table``, or ``subscribers`` and the names of some."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any
    ) -> None:
        to, *names = values
        if to not in ("table", "subscribers"):
            parser.error(f"argument --to: it is table or subscribers, not {to!r}")
        if names and to == "table":
            parser.error("argument --to: only subscribers have names")
        setattr(namespace, self.dest, values)
