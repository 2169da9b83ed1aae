"""``manage.py messaging workers``: worker processes as they last spoke -> a table or JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from django.core.management.base import CommandParser

from messaging.exits import UNHEALTHY
from messaging.management.about_queues import asking, queue_parser_of, table
from messaging.management.terminal_command import Subcommands, TerminalCommand
from messaging.quantities import span
from messaging.taskqueue.quantities import WorkerSeen
from messaging.taskqueue.standing import all_queues, fleet, is_alive
from messaging.terminal.screen import safe

MOST_TASKS = 10  # of a worker that are shown

EPILOG = """examples:
  manage.py messaging workers
  manage.py messaging workers --json | jq .facts.tasks

One that is silent for TASK_LEASE_SECONDS has lost its tasks to others; after an hour it is forgotten.

exit codes: 0 at least one works, 1 Redis is away, 2 usage, 3 cannot start, 4 none works."""


def add(subcommands: Subcommands) -> CommandParser:
    """The subcommand's parser."""
    parser = queue_parser_of(
        subcommands,
        "workers",
        help="who works on which queues, and on what; exit code 4 when nobody does",
        description="Worker processes as they last spoke.",
        epilog=EPILOG,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser


def run(command: TerminalCommand, options: dict[str, Any]) -> None:
    """Look once, print, and end with 4 when nobody works."""
    with asking(command):
        found, now_ms = fleet(all_queues(options["backend"]))
    if options["json"]:
        for each in found.values():
            command.put_object({"silent_ms": now_ms - each.seen_ms, **_plain(each)})
    elif found:
        for line in lines([*found.values()], now_ms):
            command.stdout.write(line)
    command.stdout.flush()
    if not any(is_alive(each, now_ms) for each in found.values()):
        command.say("No worker is there: run manage.py work.")
        sys.exit(UNHEALTHY)


def _plain(worker: WorkerSeen) -> dict[str, Any]:
    return {"id": worker.id, "seen_ms": worker.seen_ms, "facts": worker.facts}


def lines(found: Sequence[WorkerSeen], now_ms: int) -> Iterator[str]:
    """Workers -> lines for a person, one for each task that they work on."""
    head = ("worker", "state", "queues", "busy", "begun", "heard", "works on", "task")
    yield from table([head, *(row for each in found for row in _rows(each, now_ms))], left=3)


def _rows(worker: WorkerSeen, now_ms: int) -> Iterator[tuple[str, ...]]:
    facts = worker.facts
    first = (
        safe(worker.id),
        safe(str(facts.get("state", ""))) if is_alive(worker, now_ms) else "silent",
        safe(str(facts.get("queues", ""))),
        f"{facts.get('busy', 0)}/{facts.get('slots', 0)}",
        f"{facts.get('begun', 0):,}",
        f"{span(max(0, now_ms - worker.seen_ms))} ago",
    )
    held = facts.get("tasks", ())
    tasks = [(safe(str(each.get("task", ""))), safe(str(each.get("id", "")))) for each in held]
    if len(tasks) > MOST_TASKS:
        tasks[MOST_TASKS:] = [(f"and {len(tasks) - MOST_TASKS} more", "")]
    for number, task in enumerate(tasks or [("-", "")]):
        yield (*(("",) * len(first) if number else first), *task)
