"""``manage.py messaging readers``: who reads the log and how far -> a table or JSON."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandParser
from django.db import DatabaseError, InterfaceError
from redis.exceptions import RedisError

from messaging import connection
from messaging.exits import FAILED, UNHEALTHY
from messaging.management.subcommands import status
from messaging.management.terminal_command import Subcommands, TerminalCommand, parser_of
from messaging.readers import standings

EPILOG = """examples:
  manage.py messaging readers
  manage.py messaging readers --json | jq 'select(.silent_seconds > 60)'

The log is trimmed behind the slowest of them. One that has something to read and does not move for
READER_SILENT_SECONDS is called silent; `manage.py messaging retire NAME` ends it.

exit codes: 0 all move, 1 Redis or the database is away, 3 cannot start, 4 one is silent."""


def add(subcommands: Subcommands) -> CommandParser:
    """The subcommand's parser."""
    parser = parser_of(
        subcommands,
        "readers",
        help="who reads the log and how far; exit code 4 when one is silent",
        description="Who reads the log, and how far.",
        epilog=EPILOG,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser


def run(command: TerminalCommand, options: dict[str, Any]) -> None:
    """Look once, print, and end with 4 when one is silent."""
    try:
        found = standings(connection.client())
    except RedisError as error:
        command.end(FAILED, f"Redis is away ({error}).")
    except (DatabaseError, InterfaceError) as error:
        command.end_without_database(error)
    if options["json"]:
        for each in found:
            command.put_object(each)
    else:
        for line in status.readers(found):
            command.stdout.write(line)
    command.stdout.flush()
    if not found:
        command.say("Nobody reads the log: no listener has ever run.")
    if any(each.is_silent for each in found):
        sys.exit(UNHEALTHY)
