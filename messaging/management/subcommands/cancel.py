"""``manage.py messaging cancel ID ...``: tasks that wait or run -> cancelled ones."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandParser

from messaging.exits import FAILED
from messaging.management.about_queues import asking, queue_parser_of, who
from messaging.management.terminal_command import Subcommands, TerminalCommand
from messaging.taskqueue.job import State
from messaging.taskqueue.standing import find
from messaging.terminal.screen import safe

EPILOG = """examples:
  manage.py messaging cancel default.019ab2c4d5e67f8090a1b2c3d4e5f607

One that waits ends at once. The worker of one that runs is told to stop it: coroutines are cancelled, a thread gets an
exception, and what hangs is ended with its process. All of a queue: manage.py messaging purge.

exit codes: 0 done; 1 one has ended already or is not known, or Redis is away; 2 usage, 3 cannot start."""


def add(subcommands: Subcommands) -> CommandParser:
    """The subcommand's parser."""
    parser = queue_parser_of(
        subcommands,
        "cancel",
        help="end tasks that wait, stop tasks that run",
        description="End tasks that wait; have tasks that run stopped by their workers.",
        epilog=EPILOG,
    )
    parser.add_argument("ids", nargs="+", metavar="ID")
    return parser


def run(command: TerminalCommand, options: dict[str, Any]) -> None:
    """Do it, one by one."""
    failed = False
    for name in options["ids"]:
        with asking(command):
            found = find(name, options["backend"])
            changed = found is not None and found[0].cancel(name, who())
        if found is None:
            said = "is not known: there is no such task, or its result is not kept any more"
        elif not changed:
            stopping = found[1].state is State.RUNNING
            said = "is being stopped already" if stopping else f"has ended already: {found[1].state}"
        elif found[1].state is State.RUNNING:
            said = f"runs, and its worker is told to stop it: {found[1].owner}"
        else:
            said = "is cancelled"
        failed = failed or not changed
        command.say(f"{safe(name)} {said}.")
    if failed:
        sys.exit(FAILED)
