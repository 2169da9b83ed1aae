"""``manage.py messaging purge QUEUE --state STATE``: tasks of one state -> none."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandParser

from messaging.exits import FAILED
from messaging.management.about_queues import asking, queue_parser_of, title
from messaging.management.terminal_command import Subcommands, TerminalCommand
from messaging.taskqueue.job import State
from messaging.taskqueue.standing import named
from messaging.terminal.screen import StatusLine, counted, is_terminal
from messaging.terminal.stopping import Stop

STATES = [str(state) for state in State if state is not State.RUNNING]

EPILOG = """examples:
  manage.py messaging purge mail --state ready --dry-run
  manage.py messaging purge mail --state delayed
  manage.py messaging purge mail --state dead

They are removed for good, with their results. Those that run are left alone: cancel them. To remove only some dead
letters: manage.py messaging dead discard.

exit codes: 0 done; 1 Redis is away, there is no such queue, or ended by INT or TERM; 2 usage, 3 cannot start."""


def add(subcommands: Subcommands) -> CommandParser:
    """The subcommand's parser."""
    parser = queue_parser_of(
        subcommands,
        "purge",
        help="remove all tasks of one state from a queue",
        description="Remove all tasks of one state from a queue, for good.",
        epilog=EPILOG,
    )
    parser.add_argument("queue", metavar="QUEUE")
    parser.add_argument(
        "--state", required=True, choices=STATES, metavar="STATE", help=f"one of {', '.join(STATES)}"
    )
    parser.add_argument("--dry-run", action="store_true", help="say how many it would be")
    return parser


def run(command: TerminalCommand, options: dict[str, Any]) -> None:
    """Those that are there when it begins, some at a time."""
    state = State(options["state"])
    with asking(command):
        queue = named(options["queue"], options["backend"])
        there: int = getattr(queue.counts(), state)
        if options["dry_run"]:
            command.say(f"{counted(there, f'{state} task')} of {title(queue)} would be removed.")
            return
        gone = 0
        with Stop() as stop, StatusLine(command.talk, shown=is_terminal(command.stderr)) as status:
            while gone < there and not stop.asked:
                removed = queue.purge(state, min(500, there - gone))
                gone += removed
                status.show(f"{gone:,} of {there:,}")
                if not removed:
                    break
    command.say(f"{counted(gone, f'{state} task')} of {title(queue)} removed.")
    if stop.asked:
        sys.exit(FAILED)
