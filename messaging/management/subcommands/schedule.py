"""``manage.py messaging schedule``: the recurring tasks, when each ticked and ticks next; run, pause, resume one."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from messaging import recurring, timetable
from messaging.errors import BrokerError
from messaging.exits import FAILED, UNHEALTHY, USAGE
from messaging.management.about_queues import asking, table, who
from messaging.management.terminal_command import Subcommands, TerminalCommand, parser_of
from messaging.quantities import clock, span
from messaging.taskqueue.standing import paused_words
from messaging.terminal.screen import safe
from messaging.timetable import Planned

ACTIONS = ("list", "run", "pause", "resume")

EPILOG = """examples:
  manage.py messaging schedule
  manage.py messaging schedule --json | jq 'select(.overdue_ms > 60000) | .name'
  manage.py messaging schedule run nightly              once more, now; its ticks stay what they are
  manage.py messaging schedule pause nightly --why 'the warehouse is being moved'
  manage.py messaging schedule resume nightly

Entries are those of MESSAGING['SCHEDULE']. What is paused makes no tasks, and none for the time of its pause later.

exit codes: 0 done, and every entry ticks; 1 there is no such entry, its task cannot be enqueued, or Redis is away;
2 usage, 3 cannot start, 4 an entry cannot work, or should have ticked and has not: is there a manage.py listen?"""


def add(subcommands: Subcommands) -> CommandParser:
    """The subcommand's parser."""
    parser = parser_of(
        subcommands,
        "schedule",
        help="recurring tasks: when each ticked last and ticks next; run, pause or resume one",
        description="The recurring tasks of MESSAGING['SCHEDULE'].",
        epilog=EPILOG,
    )
    parser.add_argument("action", nargs="?", choices=ACTIONS, default="list", help="default: %(default)s")
    parser.add_argument("name", nargs="?", metavar="NAME", help="which, for all but list")
    parser.add_argument("--why", default="", metavar="TEXT", help="of a pause, for whoever wonders")
    parser.add_argument("--json", action="store_true", help="of the list: one JSON object a line")
    return parser


def run(command: TerminalCommand, options: dict[str, Any]) -> None:
    """Do what is asked."""
    action, name = options["action"], options["name"]
    if (action == "list") != (name is None):
        command.end(USAGE, "Say which: run NAME, pause NAME, resume NAME; list is of all.")
    with asking(command):
        if action == "list":
            _list(command, as_json=options["json"])
        elif action == "run":
            _run(command, name)
        elif action == "pause":
            if timetable.pause(name, who(), options["why"]):
                command.say(f"{safe(name)} is paused; manage.py messaging schedule resume undoes it.")
            else:
                command.say(f"{safe(name)} was paused already.")
        elif timetable.resume(name):
            command.say(f"{safe(name)} makes tasks again, from its next tick on.")
        else:
            command.say(f"{safe(name)} was not paused.")


def _run(command: TerminalCommand, name: str) -> None:
    timetable.entry(name)
    try:
        made = timetable.run_now(name)
    except BrokerError:
        raise
    except Exception as error:  # of the user's module, of Django's Tasks
        command.end(FAILED, f"{safe(name)}: its task cannot be enqueued: {safe(str(error))}")
    command.put(f"{made}\n".encode())
    command.stdout.flush()
    command.say(f"{safe(name)} is enqueued once more.")


def _list(command: TerminalCommand, *, as_json: bool) -> None:
    found, now_ms = timetable.look()
    _, wrong = recurring.schedule()
    if as_json:
        for each in found:
            command.put_object(each)
    elif found:
        for line in lines(found, now_ms):
            command.stdout.write(line)
    command.stdout.flush()
    said = [str(error) for error in wrong]
    said += [f"schedule {each.name!r} cannot work: {each.problem}" for each in found if each.problem]
    said += timetable.problems(found)
    for sentence in said:
        command.say(command.paint.red(f"Problem: {safe(sentence)}"))
    if said:
        sys.exit(UNHEALTHY)
    if not found:
        command.say("Nothing recurs: MESSAGING['SCHEDULE'] is empty.")


def lines(found: Sequence[Planned], now_ms: int) -> Iterator[str]:
    """Entries -> lines for a person."""
    head = ("schedule", "rule", "task", "last", "state", "next", "")
    yield from table([head, *(_row(each, now_ms) for each in found)], left=3)


def _row(each: Planned, now_ms: int) -> tuple[str, ...]:
    return (
        safe(each.name),
        safe(each.rule),
        safe(each.task),
        _at(each.last_ms) if each.last_ms else "-",
        each.last_state or "-",
        "-" if each.problem or each.paused else _coming(each, now_ms),
        "" if each.paused is None else f"paused {safe(paused_words(each.paused))}",
    )


def _coming(each: Planned, now_ms: int) -> str:
    if each.overdue_ms:
        return f"due {span(each.overdue_ms)} ago"
    return f"{_at(each.next_ms)} (in {span(each.next_ms - now_ms)})"


def _at(ms: int) -> str:
    return clock(datetime.fromtimestamp(ms / 1000, UTC), now=timezone.now()).removesuffix(".000")
