"""``manage.py messaging resume QUEUE``: a paused queue -> one that workers take from."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from messaging.management.about_queues import asking, queue_parser_of, title, who
from messaging.management.terminal_command import Subcommands, TerminalCommand
from messaging.taskqueue.standing import named

EPILOG = """examples:
  manage.py messaging resume mail

exit codes: 0 it runs now, or did already; 1 Redis is away or there is no such queue, 2 usage, 3 cannot start."""


def add(subcommands: Subcommands) -> CommandParser:
    """The subcommand's parser."""
    parser = queue_parser_of(
        subcommands,
        "resume",
        help="let workers take tasks from a paused queue again",
        description="Let workers take tasks from a paused queue again.",
        epilog=EPILOG,
    )
    parser.add_argument("queue", metavar="QUEUE")
    return parser


def run(command: TerminalCommand, options: dict[str, Any]) -> None:
    """Do it."""
    with asking(command):
        queue = named(options["queue"], options["backend"])
        was_paused = queue.resume(who())
        ready = queue.counts().ready
    said = "runs again" if was_paused else "was not paused"
    command.say(f"{title(queue)} {said}; {ready:,} tasks are ready in it.")
