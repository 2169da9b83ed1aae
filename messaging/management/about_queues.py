"""What the subcommands about queues share: which queue, who asks, a Redis that is away -> an exit code."""

from __future__ import annotations

import getpass
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.core.management.base import CommandParser

from messaging.errors import BrokerError
from messaging.exits import FAILED
from messaging.management.terminal_command import Subcommands, TerminalCommand, parser_of
from messaging.taskqueue import standing
from messaging.taskqueue.queue import Queue


def queue_parser_of(
    subcommands: Subcommands, name: str, *, help: str, description: str, epilog: str
) -> CommandParser:
    """The parser of a new subcommand, with what all of them take."""
    parser = parser_of(subcommands, name, help=help, description=description, epilog=epilog)
    parser.add_argument(
        "--backend", default="", metavar="ALIAS", help="of settings.TASKS (default: all that are ours)"
    )
    return parser


@contextmanager
def asking(command: TerminalCommand) -> Iterator[None]:
    """Redis away ends the command with 1, as does a queue that does not exist."""
    try:
        yield
    except BrokerError as error:
        command.end(FAILED, f"Redis is away ({error}).")
    except LookupError as error:
        command.end(FAILED, str(error.args[0]))


def chosen(names: Sequence[str], backend: str) -> list[Queue]:
    """The queues of these names, or all; ``LookupError`` for one that does not exist."""
    return [standing.named(name, backend) for name in names] if names else standing.all_queues(backend)


def who() -> str:
    """Who asks, for what is kept: ``anna@host``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user without a name
        user = "somebody"
    return f"{user}@{platform.node()}"


def title(queue: Queue | standing.Standing) -> str:
    """A queue's name, behind its backend's alias where there are several."""
    name = queue.name if isinstance(queue, Queue) else queue.queue
    alias = queue.alias if isinstance(queue, Queue) else queue.backend
    return name if len(standing.backends()) == 1 else f"{alias}/{name}"


def table(rows: Sequence[Sequence[str]], *, left: int = 1) -> Iterator[str]:
    """The first row is the head; numbers to the right, but for the first ``left`` columns and the last."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.ljust(size) if at < left or at == len(row) - 1 else cell.rjust(size)
            for at, (cell, size) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
