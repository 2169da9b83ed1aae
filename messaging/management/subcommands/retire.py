"""``manage.py messaging retire NAME``: a reader of the log -> none; the log is trimmed without it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db import DatabaseError, InterfaceError

from messaging.exits import FAILED, USAGE
from messaging.management.terminal_command import Subcommands, TerminalCommand, parser_of
from messaging.readers import retire

EPILOG = """examples:
  manage.py messaging readers
  manage.py messaging retire reports

For a reader that will not come back: the log is not trimmed behind it any more. Should it come back, it begins anew,
and what was trimmed meanwhile it has missed. The relay cannot be retired.

exit codes: 0 done, 1 there is no such reader or the database is away, 2 usage, 3 cannot start."""


def add(subcommands: Subcommands) -> CommandParser:
    """The subcommand's parser."""
    parser = parser_of(
        subcommands,
        "retire",
        help="end a reader that will not come back, so that the log is trimmed without it",
        description="End a reader of the log that will not come back.",
        epilog=EPILOG,
    )
    parser.add_argument("name", metavar="NAME", help="as `manage.py messaging readers` names it")
    return parser


def run(command: TerminalCommand, options: dict[str, Any]) -> None:
    """Do it."""
    name = options["name"]
    try:
        gone = retire(name)
    except ValueError as error:
        command.end(USAGE, f"No: {error}.")
    except (DatabaseError, InterfaceError) as error:
        command.end_without_database(error)
    if not gone:
        command.end(FAILED, f"There is no reader {name!r}.")
    command.say(f"{name} is retired; the log is trimmed without it.")
