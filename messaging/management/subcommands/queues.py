"""``manage.py messaging queues``: how each queue stands -> a table or JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser

from messaging.errors import BrokerError
from messaging.exits import FAILED, UNHEALTHY
from messaging.management.about_queues import asking, chosen, queue_parser_of, table, title
from messaging.management.terminal_command import Subcommands, TerminalCommand
from messaging.quantities import span
from messaging.taskqueue.standing import MAX_WAIT, Quantiles, Standing, look, paused_words, problems
from messaging.terminal.arguments import number, seconds
from messaging.terminal.screen import is_terminal, safe
from messaging.terminal.stopping import Stop

WATCH_SECONDS = 2.0
SHORTEST_WATCH = 0.2

EPILOG = """examples:
  manage.py messaging queues
  manage.py messaging queues mail reports
  manage.py messaging queues --json | jq 'select(.counts.dead > 0) | .queue'
  manage.py messaging queues --max-wait 60 || alert
  manage.py messaging queues --watch             a live table, every two seconds, until Ctrl-C

Rates are tasks a minute over the latest five. oldest: how long the oldest ready task has waited. wait and run: half of
the tasks of the latest ten minutes stay under the first number, 95 of 100 under the second.

exit codes: 0 all move, 1 Redis is away or there is no such queue, 2 usage, 3 cannot start, 4 one stands still: tasks
wait while it is paused or without a worker, or for longer than --max-wait, or many tasks fail for good."""


def add(subcommands: Subcommands) -> CommandParser:
    """The subcommand's parser."""
    parser = queue_parser_of(
        subcommands,
        "queues",
        help="how many tasks are where, how fast they move, who works; exit code 4 when a queue stands still",
        description="How each queue stands.",
        epilog=EPILOG,
    )
    parser.add_argument("queues", nargs="*", metavar="QUEUE", help="only these")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument(
        "--max-wait",
        type=seconds,
        default=MAX_WAIT,
        metavar="SECONDS",
        help="a ready task that waits for longer is a problem (default: %(default)g)",
    )
    parser.add_argument(
        "--watch",
        nargs="?",
        type=number("a number of seconds", least=SHORTEST_WATCH),
        const=WATCH_SECONDS,
        metavar="SECONDS",
        help="look again and again until Ctrl-C (default: every %(const)g s)",
    )
    return parser


def run(command: TerminalCommand, options: dict[str, Any]) -> None:
    """Look once, print, and end with 4 when one stands still; or watch."""
    if options["watch"] is not None:
        watch(command, options)
        return
    with asking(command):
        found = look(chosen(options["queues"], options["backend"]))
    if options["json"]:
        for each in found:
            command.put_object(each)
    elif found:
        for line in lines(found):
            command.stdout.write(line)
    command.stdout.flush()
    if not found:
        command.say("There is no queue: no task was ever enqueued, and settings.TASKS names none.")
    wrong = [str(problem) for each in found for problem in problems(each, options["max_wait"])]
    for problem in wrong:
        command.say(command.paint.red(f"Problem: {safe(problem)}"))
    if wrong:
        sys.exit(UNHEALTHY)


def watch(command: TerminalCommand, options: dict[str, Any]) -> None:
    """The table again and again; a terminal shows the latest in the place of the one before. A Redis that is away is
    said and waited for."""
    paint = command.paint
    clear = "\x1b[H\x1b[J" if is_terminal(command.stdout) else ""
    with Stop() as stop:
        while not stop.asked:
            try:
                found = look(chosen(options["queues"], options["backend"]))
                wrong = [str(problem) for each in found for problem in problems(each, options["max_wait"])]
                shown = [*(lines(found) if found else ["no queue yet"])]
            except BrokerError as error:
                shown, wrong = [], [f"Redis is away ({error})"]
            except LookupError as error:
                command.end(FAILED, str(error.args[0]))
            text = [f"{datetime.now().astimezone():%H:%M:%S}", *shown]
            text += [paint.red(f"Problem: {safe(each)}") for each in wrong]
            command.stdout.write(clear + "\n".join(text))
            command.stdout.flush()
            stop.pause(options["watch"])


def lines(found: Sequence[Standing]) -> Iterator[str]:
    """Standings -> lines for a person."""
    head = ("queue", "ready", "running", "delayed", "dead", "oldest", "in/min", "out/min")
    yield from table([(*head, "wait", "run", "workers", "state"), *map(_row, found)])


def _row(each: Standing) -> tuple[str, ...]:
    counts = each.counts
    return (
        safe(title(each)),
        *(f"{number:,}" for number in (counts.ready, counts.running, counts.delayed, counts.dead)),
        span(counts.oldest_ready_ms) if counts.oldest_ready_ms else "-",
        *(f"{rate:,.1f}" for rate in (each.entered, each.ended)),
        *(_pair(times) for times in (each.wait_ms, each.run_ms)),
        f"{each.workers}, {each.busy}/{each.slots} busy" if each.workers else "none",
        "" if each.paused is None else f"paused {safe(paused_words(each.paused))}",
    )


def _pair(times: Quantiles) -> str:
    half, most, _ = times
    return "-" if half is None or most is None else f"{span(half)} / {span(most)}"
