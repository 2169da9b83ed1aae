"""``manage.py messaging drain WORKER``: a worker that takes tasks -> one that ends, or stays and takes none."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from messaging import connection
from messaging.conf import conf
from messaging.exits import USAGE
from messaging.management.about_queues import asking, queue_parser_of, who
from messaging.management.terminal_command import Subcommands, TerminalCommand
from messaging.taskqueue import draining
from messaging.taskqueue.draining import Asked, Wish
from messaging.taskqueue.standing import SECONDS, all_queues, fleet, is_alive

EPILOG = """examples:
  manage.py messaging drain web-1               all workers of a host: they finish what they run, and end with 0
  manage.py messaging drain web-1:4711:9f3a...  one of them, by an id of `messaging workers`
  manage.py messaging drain --all --stay        takes no more tasks, and stays until it is told to go on
  manage.py messaging drain --all --undo        goes on

A worker is one `manage.py work`, with all of its processes. It hands back what it has not begun, and after
--drain-seconds what still runs. Whoever supervises it (systemd with Restart=always, Kubernetes, `manage.py up`) starts
another one: to keep tasks from running, use --stay, or pause the queue.

exit codes: 0 told, 1 Redis is away or there is no such worker, 2 usage, 3 cannot start."""

SAID: dict[Wish, str] = {
    "end": "drains and ends",
    "stay": "takes no more tasks, and stays",
    "go on": "takes tasks again",
}


def add(subcommands: Subcommands) -> CommandParser:
    """The subcommand's parser."""
    parser = queue_parser_of(
        subcommands,
        "drain",
        help="let a worker finish what it runs, and end or stay without taking more",
        description="Ask a worker to take no more tasks.",
        epilog=EPILOG,
    )
    parser.add_argument("worker", nargs="?", metavar="WORKER", help="an id of `messaging workers`, or a host")
    parser.add_argument("--all", action="store_true", help="every worker that is there")
    wish = parser.add_mutually_exclusive_group()
    wish.add_argument("--stay", action="store_const", dest="wish", const="stay", help="it does not end")
    wish.add_argument("--undo", action="store_const", dest="wish", const="go on", help="it takes tasks again")
    return parser


def run(command: TerminalCommand, options: dict[str, Any]) -> None:
    """Tell them."""
    wish: Wish = options["wish"] or "end"
    if bool(options["worker"]) == options["all"]:
        command.end(USAGE, "Say which worker, or --all.")
    with asking(command):
        workers, now_ms = fleet(all_queues(options["backend"]))
        there = draining.units({each.id: each for each in workers.values() if is_alive(each, now_ms)})
        meant = [*there.values()] if options["all"] else draining.meant(there, options["worker"])
        for unit in meant:
            draining.ask(connection.client(timeout=SECONDS), unit, Asked(wish, who()))
            command.say(f"{unit.name} {SAID[wish]}, within {conf.TASK_LEASE_SECONDS / 3:.0f} s.")
    if not meant:
        command.say("No worker is there.")
