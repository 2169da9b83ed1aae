"""``manage.py messaging SUBCOMMAND``: what is not needed every day, under one name."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.core.management.base import CommandParser

from messaging.errors import Misconfigured
from messaging.management import (
    cancel_command,
    dead_command,
    doctor_command,
    drain_command,
    pause_command,
    prune_command,
    purge_command,
    quarantine_command,
    queues_command,
    readers_command,
    replay_command,
    resume_command,
    retire_command,
    status_command,
    subscribers_command,
    workers_command,
)
from messaging.management.terminal_command import CANNOT_START, TerminalCommand

# Each with add() for its arguments and run().
SUBCOMMANDS = (
    status_command,
    doctor_command,
    quarantine_command,
    readers_command,
    retire_command,
    prune_command,
    replay_command,
    subscribers_command,
    queues_command,
    workers_command,
    drain_command,
    pause_command,
    resume_command,
    cancel_command,
    purge_command,
    dead_command,
)


class Command(TerminalCommand):
    help = "Look after the broker: each subcommand has a --help of its own."
    intermixed = False

    def add_arguments(self, parser: CommandParser) -> None:
        subcommands = parser.add_subparsers(dest="subcommand", required=True, metavar="SUBCOMMAND")
        for each in SUBCOMMANDS:
            each.add(subcommands).set_defaults(run=partial(each.run, self))

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            options["run"](options)
        except Misconfigured as error:
            self.end(CANNOT_START, f"Cannot start: {error}")
