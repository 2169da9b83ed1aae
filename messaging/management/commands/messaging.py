"""``manage.py messaging SUBCOMMAND``: what is not needed every day, under one name."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.core.management.base import CommandParser

from messaging.errors import Misconfigured
from messaging.exits import CANNOT_START
from messaging.management.subcommands import (
    cancel,
    dead,
    doctor,
    drain,
    pause,
    prune,
    purge,
    quarantine,
    queues,
    readers,
    replay,
    resume,
    retire,
    schedule,
    status,
    subscribers,
    workers,
)
from messaging.management.terminal_command import TerminalCommand

# In the order of --help.
SUBCOMMANDS = (
    status,
    doctor,
    quarantine,
    readers,
    retire,
    prune,
    replay,
    subscribers,
    schedule,
    queues,
    workers,
    drain,
    pause,
    resume,
    cancel,
    purge,
    dead,
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
