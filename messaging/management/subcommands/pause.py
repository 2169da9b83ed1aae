"""``manage.py messaging pause QUEUE --why TEXT``: a queue that runs -> one that no worker takes from."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from messaging.management.about_queues import asking, queue_parser_of, title, who
from messaging.management.terminal_command import Subcommands, TerminalCommand
from messaging.taskqueue.standing import named, paused_words

EPILOG = """examples:
  manage.py messaging pause mail --why 'the mail server is moving'
  manage.py messaging resume mail

What runs runs on, and tasks can be enqueued as before. Everybody sees who paused it, when and why, in `messaging
queues`, `messaging status` and the admin. It stays paused whatever restarts.

exit codes: 0 it is paused now, or was already; 1 Redis is away or there is no such queue, 2 usage, 3 cannot start."""


def add(subcommands: Subcommands) -> CommandParser:
    """The subcommand's parser."""
    parser = queue_parser_of(
        subcommands,
        "pause",
        help="let no worker take tasks from a queue",
        description="Let no worker take tasks from a queue until it is resumed.",
        epilog=EPILOG,
    )
    parser.add_argument("queue", metavar="QUEUE")
    parser.add_argument("--why", default="", metavar="TEXT", help="for whoever wonders")
    return parser


def run(command: TerminalCommand, options: dict[str, Any]) -> None:
    """Do it."""
    with asking(command):
        queue = named(options["queue"], options["backend"])
        was_running = queue.pause(who(), options["why"])
        paused = queue.paused()
    if was_running:
        command.say(f"{title(queue)} is paused; manage.py messaging resume {queue.name} undoes it.")
    elif paused is not None:
        command.say(f"{title(queue)} was paused already {paused_words(paused)}.")
