"""``manage.py messaging quarantine list|retry|discard``: what could not be stored -> a list, rows, or nothing."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandParser
from django.db import DatabaseError, InterfaceError
from django.db.models import QuerySet
from django.db.models.functions import Left, Length

from messaging.exits import FAILED, USAGE
from messaging.management.terminal_command import Subcommands, TerminalCommand, parser_of
from messaging.models import Quarantine
from messaging.quantities import size
from messaging.quarantine import discard, entries, retry
from messaging.terminal.arguments import add_listing
from messaging.terminal.screen import StatusLine, counted, cut, is_terminal, safe, width
from messaging.terminal.stopping import Stop

EPILOG = """examples:
  manage.py messaging quarantine list
  manage.py messaging quarantine list --reason 'not JSON' --json | jq .id
  manage.py messaging quarantine retry 17 18           try to store these again
  manage.py messaging quarantine retry --all           after what refused them has been mended
  manage.py messaging quarantine discard --all --reason 'not JSON' --dry-run

retry stores the bytes as the relay does, each under its position in the log; what is refused again stays, with its new
reason. discard removes rows of the quarantine for good, and nothing from the log.

exit codes: 0 done; 1 some are refused again or are not there, or the database is away, or ended by INT or TERM;
2 usage, 3 cannot start."""

BATCH = 100


def add(subcommands: Subcommands) -> CommandParser:
    """The subcommand's parser."""
    parser = parser_of(
        subcommands,
        "quarantine",
        help="entries that could not be stored: list them, store them again, discard them",
        description="Entries that are no events, or that the database refused.",
        epilog=EPILOG,
    )
    parser.add_argument("action", choices=("list", "retry", "discard"), help="what to do with them")
    parser.add_argument("ids", nargs="*", type=int, metavar="ID", help="only these")
    parser.add_argument("--all", action="store_true", help="retry or discard all that --reason leaves")
    parser.add_argument("--reason", default="", metavar="TEXT", help="only those with this in their reason")
    add_listing(parser)
    parser.add_argument("--dry-run", action="store_true", help="say how many it would be")
    return parser


def run(command: TerminalCommand, options: dict[str, Any]) -> None:
    """Do it."""
    action, ids = options["action"], options["ids"]
    if ids and options["all"]:
        command.end(USAGE, f"{action} ID ..., or {action} --all: not both.")
    if action != "list" and not ids and not options["all"]:
        command.end(USAGE, f"Say which: {action} ID ..., or {action} --all.")
    rows = entries()
    if ids:
        rows = rows.filter(pk__in=ids)
    if options["reason"]:
        rows = rows.filter(reason__icontains=options["reason"])
    try:
        chosen = list(rows.values_list("pk", flat=True)) if ids or action != "list" else []
        if action == "list":
            _list(command, rows, options)
        elif options["dry_run"]:
            verb = "tried" if action == "retry" else "discarded"
            command.say(f"{counted(len(chosen), 'entry', 'entries')} would be {verb}.")
        elif action == "retry":
            _retry(command, chosen)
        else:
            command.say(f"{counted(discard(chosen), 'entry', 'entries')} discarded.")
    except (DatabaseError, InterfaceError) as error:
        command.end_without_database(error)
    if missing := sorted(set(ids) - set(chosen)):
        command.end(FAILED, f"Not in quarantine: {', '.join(map(str, missing))}.")


def _list(command: TerminalCommand, rows: QuerySet[Quarantine], options: dict[str, Any]) -> None:
    limit = options["limit"]
    short = rows.annotate(bytes=Length("body"), head=Left("reason", 4000))
    found = short.values_list(
        "pk", "quarantined_at", "partition", "log_ms", "log_seq", "epoch", "bytes", "head"
    )
    listed = list(found[: limit + 1])
    for pk, at, partition, ms, seq, epoch, length, reason in listed[:limit]:
        place = f"{partition}.{ms}-{seq}"
        if options["json"]:
            facts = {"id": pk, "at": at, "location": place, "epoch": epoch, "bytes": length, "reason": reason}
            command.put_object(facts)
        else:
            line = (
                f"{pk:>8}  {at.astimezone():%Y-%m-%d %H:%M:%S}  {place:<24} {size(length):>9}  {safe(reason)}"
            )
            command.stdout.write(cut(line, width()) if is_terminal(command.stdout) else line)
    command.stdout.flush()
    if not listed and not options["ids"]:
        command.say("Nothing is in quarantine." if not options["reason"] else "Nothing matches.")
    elif len(listed) > limit:
        command.say(f"The oldest {limit:,} are listed; --limit shows more.")


def _retry(command: TerminalCommand, ids: list[int]) -> None:
    stored, kept, reason = 0, 0, ""
    with Stop() as stop, StatusLine(command.talk, shown=is_terminal(command.stderr)) as status:
        for start in range(0, len(ids), BATCH):
            if stop.asked:
                break
            for each in retry(ids[start : start + BATCH]):
                stored += not each.reason
                kept += bool(each.reason)
                reason = reason or each.reason
            status.show(f"{stored + kept:,} of {len(ids):,}")
    left = f", {kept:,} refused again: {cut(safe(reason), 200)}" if kept else ""
    command.say(f"{counted(stored, 'entry', 'entries')} stored{left}.")
    if kept or stop.asked:
        sys.exit(FAILED)
