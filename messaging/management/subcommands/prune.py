"""``manage.py messaging prune``: options -> rows removed, with progress, and a sentence at the end."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandParser
from django.db import DatabaseError, InterfaceError
from redis.exceptions import RedisError

from messaging import connection
from messaging.conf import conf
from messaging.exits import FAILED, USAGE
from messaging.log import START, Position
from messaging.management.terminal_command import Subcommands, TerminalCommand, parser_of
from messaging.pruner import Pruned, prune
from messaging.terminal.arguments import number, whole
from messaging.terminal.moments import clock
from messaging.terminal.screen import Rate, StatusLine, counted, is_terminal
from messaging.terminal.stopping import Stop

EPILOG = """examples:
  manage.py messaging prune                       as PRUNE_DAYS and PRUNE_ROWS in the settings say
  manage.py messaging prune --days 90             messages that Redis took more than 90 days ago
  manage.py messaging prune --rows 1000000        all but the newest million
  manage.py messaging prune --days 90 --dry-run   how many that would be

It works in small batches and may be ended at any moment: the next call goes on. Rows that wait in the outbox stay, and
so do rows whose message the log may bring again: those from an hour before its first entry on. SQLite's file keeps its
size, and new rows fill it again.

exit codes: 0 done, or ended by INT or TERM after a batch; 1 Redis or the database is away, 2 usage, 3 cannot start."""

SHOWN_EVERY = 0.2  # seconds
PAUSE = 0.01  # at least, behind a batch: others wait for the database's write lock


def add(subcommands: Subcommands) -> CommandParser:
    """The subcommand's parser."""
    parser = parser_of(
        subcommands,
        "prune",
        help="remove rows of the table that are too old or too many",
        description="Remove rows of the table that are too old or too many.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "--days",
        type=number("a number of days"),
        metavar="N",
        help="remove what is older; 0 = however old it is (default: PRUNE_DAYS of the settings)",
    )
    parser.add_argument(
        "--rows",
        type=whole("a number of rows", least=0),
        metavar="N",
        help="remove all but the newest N; 0 = however many (default: PRUNE_ROWS of the settings)",
    )
    parser.add_argument("--dry-run", action="store_true", help="remove nothing, say how many rows would go")
    parser.add_argument(
        "--quiet", action="store_true", help="no progress line (default: shown when stderr is a terminal)"
    )
    return parser


def run(command: TerminalCommand, options: dict[str, Any]) -> None:
    """Prune until it is done or a signal comes."""
    most_days = conf.PRUNE_DAYS if options["days"] is None else options["days"]
    most_rows = conf.PRUNE_ROWS if options["rows"] is None else options["rows"]
    if not most_days and not most_rows:
        command.end(
            USAGE,
            "Nothing to prune by: give --days or --rows, or set MESSAGING['PRUNE_DAYS'] or ['PRUNE_ROWS'].",
        )
    dry_run = options["dry_run"]
    shown = is_terminal(command.stderr) and not options["quiet"]
    pruned = Pruned(0, START, None)
    rate, next_shown = Rate(), 0.0
    with Stop() as stop, StatusLine(command.talk, shown=shown) as status:
        try:
            began = time.monotonic()
            for pruned in prune(connection.client(), days=most_days, rows=most_rows, dry_run=dry_run):
                if stop.asked:
                    break
                if (now := time.monotonic()) >= next_shown:
                    next_shown = now + SHOWN_EVERY
                    status.show(_line(pruned, rate.of(pruned.removed)))
                if not dry_run:
                    stop.pause(max(PAUSE, now - began))  # as long as the batch took
                began = time.monotonic()
        except RedisError as error:
            status.clear()
            command.end(
                FAILED, f"{_done(pruned, dry_run)}: Redis cannot be asked what the log still holds ({error})"
            )
        except (DatabaseError, InterfaceError) as error:
            status.clear()
            command.end_without_database(error, f"{_done(pruned, dry_run)}. ")
    command.say(f"{_done(pruned, dry_run)}{', as far as it came' if stop.asked else ''}.")
    if pruned.held is not None and not stop.asked:
        command.say(command.paint.dim(_why_held(pruned.held)))


def _line(pruned: Pruned, rate: float) -> str:
    return f"{pruned.removed:,} rows, {rate:,.0f}/s, those up to {clock(pruned.reached)} are done"


def _done(pruned: Pruned, dry_run: bool) -> str:
    return f"{counted(pruned.removed, 'row')} {'would be pruned' if dry_run else 'pruned'}"


def _why_held(held: Position) -> str:
    if held == START:
        return "All others stay: the log is not there, and whether Redis will bring it back is not known."
    return f"Rows from {clock(held)} on stay, whatever the limits: the log may bring their messages again."
