"""``manage.py publish``: an argument, or the lines of a pipe -> messages."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.core.management.base import CommandParser

from messaging.conf import conf
from messaging.entered import looks_like_json
from messaging.errors import (
    BrokerError,
    InvalidAttribute,
    InvalidChannel,
    InvalidMessage,
    Misconfigured,
    shown,
)
from messaging.event import Event
from messaging.exits import CANNOT_START, DRAIN_TIMED_OUT, FAILED, USAGE
from messaging.management.terminal_command import TerminalCommand
from messaging.payload import TEXT
from messaging.publisher import prepare
from messaging.sender import Prepared, send_one
from messaging.terminal.arguments import number, whole
from messaging.terminal.intake import Intake, LineReader, Reader, data_of
from messaging.terminal.output import OutputLost, Reports
from messaging.terminal.published import Progress, summary
from messaging.terminal.repeats import MOST, Repeats, Template
from messaging.terminal.screen import StatusLine, counted, is_terminal
from messaging.terminal.stopping import Stop

LONGEST_DELAY = 86_400


class Command(TerminalCommand):
    help = """Publish one message, or each line of standard input as a message.

DATA is JSON if it can be read as such, else text; what is not UTF-8 travels as bytes. Without DATA, or with -, each
line that comes through the pipe is a message, sent as soon as it is there. While Redis is away the lines wait."""

    epilog = """examples:
  manage.py publish orders.created '{"id": 1}'
  manage.py publish updates "New data available"
  manage.py publish orders.created '{"id": 2}' --type order.v2 --key 2 -H tenant:acme
  tail -F /var/log/syslog | manage.py publish system.log -
  manage.py publish imports.rows --json < rows.ndjson
  manage.py publish orders.created '{"id": {{n}}, "total": {{random 5 200}}}' --count 100 --delay 0.2

placeholders of --count: {{n}} the message's number from 1, {{time}} now in UTC, {{id}} a new UUID, {{random LOW HIGH}}

output: one message: its place in the log and its id; lines: nothing, or with --json-output an object for each

exit codes: 0 published (of a pipe: all that was read, after INT or TERM too), 1 something was not published, or where
it is could not be written (a full disk), 2 usage, 3 cannot start, 5 ended by INT or TERM with lines that Redis had not
taken; a second INT or TERM ends it at once with 130. A reader of --json-output that leaves ends nothing."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("channel", metavar="CHANNEL", help="where to publish, for example orders.created")
        parser.add_argument(
            "data", nargs="?", metavar="DATA", help="the message; - for the lines of standard input"
        )
        form = parser.add_mutually_exclusive_group()
        form.add_argument(
            "--json", dest="form", action="store_const", const="json", help="refuse what is not JSON"
        )
        form.add_argument("--text", dest="form", action="store_const", const="text", help="take all as text")
        parser.set_defaults(form="auto")
        parser.add_argument(
            "--type", type=filled, metavar="TYPE", help="the event's type (default: the channel)"
        )
        parser.add_argument(
            "--key", type=filled, metavar="KEY", help="what it is about, such as an order's number"
        )
        parser.add_argument(
            "--id",
            type=filled,
            metavar="ID",
            help="the event's id (default: a new one); for one message only",
        )
        parser.add_argument(
            "-H",
            "--header",
            action="append",
            default=[],
            dest="headers",
            type=header,
            metavar="NAME:VALUE",
            help="an attribute of your own: 1 to 20 lower-case letters and digits, a colon, the value; repeatable",
        )
        parser.add_argument(
            "--count",
            type=whole(f"a number from 1 to {MOST:,}", least=1, most=MOST),
            metavar="NUMBER",
            help="publish DATA so many times, with placeholders",
        )
        parser.add_argument(
            "--delay",
            type=number("a number of seconds", most=LONGEST_DELAY),
            default=0.0,
            metavar="SECONDS",
            help="between two of --count (default: 0)",
        )
        parser.add_argument(
            "--keep-blank", action="store_true", help="publish blank lines too (default: skipped)"
        )
        parser.add_argument(
            "--json-output", action="store_true", help="print id, channel and position as JSON"
        )
        parser.add_argument("--quiet", action="store_true", help="no progress and no summary")

    def handle(self, *args: Any, **options: Any) -> None:
        headers = dict(options["headers"])
        for name, value in options["headers"]:
            if headers[name] != value:
                self.end(USAGE, f"-H {name} has one value: {shown(value)} or {shown(headers[name])}?")
        make = partial(
            prepare,
            options["channel"],
            type=options["type"],
            key=options["key"],
            headers=headers,
        )
        data = options["data"]
        if options["delay"] and options["count"] is None:
            self.end(USAGE, "--delay lies between two of --count: say how many.")
        try:
            if data is None or data == "-":
                if data is None and is_terminal(sys.stdin):
                    self.end(USAGE, "Nothing to publish: give DATA, or - to type lines (Ctrl-D ends them).")
                if options["id"]:
                    self.end(USAGE, "--id names one message, and standard input has many: give DATA.")
                if options["count"] is not None:
                    self.end(
                        USAGE, "--count repeats DATA, and standard input has lines of its own: give DATA."
                    )
                make("")  # finds what is wrong with everything but the data, before the first line
                self.lines(LineReader(sys.stdin.fileno(), limit=conf.MAX_EVENT_BYTES), make, options)
            elif options["count"] is not None:
                if options["id"]:
                    self.end(USAGE, "--id names one message, and --count makes many.")
                try:
                    template = Template(data)
                except InvalidMessage as error:
                    self.end(USAGE, f"Not published: {error}")
                make(data_of(os.fsencode(template.filled(1)), options["form"]))
                self.lines(Repeats(template, count=options["count"], delay=options["delay"]), make, options)
            else:
                self.one(make(data_of(os.fsencode(data), options["form"]), id=options["id"]), options)
        except (InvalidChannel, InvalidAttribute) as error:
            self.end(USAGE, f"Not published: {error}")
        except (InvalidMessage, BrokerError) as error:
            self.end(FAILED, f"Not published: {error}")
        except Misconfigured as error:
            self.end(CANNOT_START, f"Cannot start: {error}")

    def one(self, prepared: Prepared, options: dict[str, Any]) -> None:
        """Publish one message and print where it is."""
        event = send_one(prepared)
        if event.content_type == TEXT and options["form"] == "auto" and looks_like_json(options["data"]):
            self.say(
                self.paint.yellow(
                    "Published as text: it begins like JSON, but is none (--json refuses that)."
                )
            )
        try:
            self.print_place(event, options)
        except OutputLost as error:
            if not error.is_closed:
                self.end(
                    FAILED, f"Published as {event.location} {event.id}, which cannot be printed: {error}."
                )

    def print_place(self, event: Event, options: dict[str, Any]) -> None:
        """Where one message is, on stdout."""
        if options["json_output"]:
            self.report([event])
        else:
            self.put(f"{event.location} {event.id}\n".encode())
            self.stdout.flush()

    def lines(self, reader: Reader, make: Any, options: dict[str, Any]) -> None:
        """Publish all that comes."""
        began = time.monotonic()
        limit = conf.MAX_EVENT_BYTES
        shown = is_terminal(self.stderr) and not is_terminal(sys.stdin) and not options["quiet"]
        with _other_words(), Stop() as stop, StatusLine(self.talk, shown=shown) as status:
            tell = partial(self.tell, status)
            places = Reports(self.report if options["json_output"] else None, partial(tell, good=False))
            intake = Intake(
                reader,
                stop=stop,
                prepare=lambda raw: make(data_of(raw, options["form"])),
                limit=limit,
                blank=options["keep_blank"],
                tell=tell,
                sent=places,
                tick=Progress(status).show,
            )
            refused = None
            try:
                intake.run()
            except BrokerError as error:
                refused = error
        totals = intake.totals
        if not options["quiet"]:
            self.say(summary(totals, options["channel"], time.monotonic() - began))
        if refused is not None:
            self.end(FAILED, f"Redis refuses, {counted(totals.unsent, 'line')} not published: {refused}")
        if totals.unsent:
            self.end(DRAIN_TIMED_OUT, f"{counted(totals.unsent, 'line')} read but not taken by Redis")
        if totals.refused or places.missing:
            sys.exit(FAILED)

    def tell(self, status: StatusLine, sentence: str, good: bool) -> None:
        """A change of state, on stderr."""
        status.clear()
        self.say((self.paint.green if good else self.paint.yellow)(f"publish: {sentence}"))

    def report(self, events: Sequence[Event]) -> None:
        """Where messages are, on stdout."""
        for event in events:
            place = {"id": event.id, "channel": event.channel, "position": event.location}
            self.put_object(place)
        self.stdout.flush()


@contextmanager
def _other_words() -> Iterator[None]:
    """The breaker's two sentences are said here in other words, and at the right moment."""
    logger = logging.getLogger("messaging.publish")

    def is_said(record: logging.LogRecord) -> bool:
        return record.module != "breaker"

    logger.addFilter(is_said)
    try:
        yield
    finally:
        logger.removeFilter(is_said)


def filled(text: str) -> str:
    """``--type``, ``--key``, ``--id``: an empty one is an argument that a shell's variable did not fill."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty: leave the option out")
    return text


def header(text: str) -> tuple[str, str]:
    """``name:value``, blanks around the value dropped."""
    name, colon, value = text.partition(":")
    if not (name and colon and value.strip()):
        raise argparse.ArgumentTypeError(f"not NAME:VALUE: {text!r}")
    return name, value.strip()
