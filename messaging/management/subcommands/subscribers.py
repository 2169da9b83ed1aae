"""``manage.py messaging subscribers``: who gets events as tasks -> a list or JSON; one that is gone is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from django.core.management.base import CommandParser
from django.db import DatabaseError, InterfaceError

from messaging import subscribers
from messaging.conf import conf
from messaging.exits import FAILED
from messaging.management.terminal_command import Subcommands, TerminalCommand, parser_of
from messaging.models import Subscription
from messaging.subscriptions import forget

EPILOG = """examples:
  manage.py messaging subscribers
  manage.py messaging subscribers --json | jq 'select(.deployed | not)'
  manage.py messaging subscribers --forget shop.subscribers.bill

Events of a subscriber that is not in this release wait in its queue for one that has it. When there will be none,
forget it: nothing more is kept for it; tasks that wait already can be cancelled.

exit codes: 0 done, 1 there is no such subscriber or the database is away, 2 usage, 3 cannot start."""


class Known(msgspec.Struct, frozen=True):
    """A subscriber as it is written down."""

    name: str
    channels: list[str]
    backend: str
    queue: str
    ordered_by: str
    deployed: bool  # is it in the release that this command belongs to?
    first_seen: str
    seen_at: str  # when a listener that knows it began to work last


def add(subcommands: Subcommands) -> CommandParser:
    """The subcommand's parser."""
    parser = parser_of(
        subcommands,
        "subscribers",
        help="the @subscribe functions that get events, deployed or not; --forget ends one",
        description="The @subscribe functions that get events, deployed or not.",
        epilog=EPILOG,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--forget", metavar="NAME", help="keep nothing for this one any more")
    return parser


def run(command: TerminalCommand, options: dict[str, Any]) -> None:
    """List them, or forget one."""
    try:
        if name := options["forget"]:
            if not forget(name):
                command.end(FAILED, f"There is no subscriber {name!r}.")
            command.say(f"{name} is forgotten: no more events are kept for it.")
            if name in subscribers.registered:
                command.say(
                    "It is in this release, though: the next listener that begins to work has it anew."
                )
            return
        found = list(_known())
    except (DatabaseError, InterfaceError) as error:
        command.end_without_database(error)
    for each in found:
        if options["json"]:
            command.put_object(each)
        else:
            command.stdout.write(_line(each))
    command.stdout.flush()
    new = subscribers.registered.keys() - {each.name for each in found}
    if new:
        command.say(f"New in this release, and known once a listener of it works: {', '.join(sorted(new))}.")
    elif not found:
        command.say("Nobody subscribes.")


def _known() -> Iterator[Known]:
    for row in Subscription.objects.using(conf.DATABASE):
        yield Known(
            name=row.name,
            channels=msgspec.json.decode(row.patterns, type=list[str]),
            backend=row.backend,
            queue=row.queue,
            ordered_by=row.ordered_by,
            deployed=row.name in subscribers.registered,
            first_seen=row.first_seen.isoformat(timespec="seconds"),
            seen_at=row.seen_at.isoformat(timespec="seconds"),
        )


def _line(each: Known) -> str:
    order = f", ordered by {each.ordered_by}" if each.ordered_by else ""
    here = "" if each.deployed else ", not in this release: its events wait"
    return f"{each.name}  {' '.join(each.channels)}  queue {each.queue}{order}{here}"
