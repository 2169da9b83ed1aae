"""``manage.py tail``: the log -> lines on a terminal, JSON lines in a pipe."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandParser

from messaging import connection, log
from messaging.errors import Misconfigured
from messaging.exits import CANNOT_START, FAILED
from messaging.management.terminal_command import TerminalCommand
from messaging.terminal import lines
from messaging.terminal.arguments import moment, seconds, whole
from messaging.terminal.calling import Calls, Function, function_of
from messaging.terminal.conditions import Condition
from messaging.terminal.follower import Lost
from messaging.terminal.lines import PersonsLines, Read
from messaging.terminal.screen import Paint, counted, is_terminal, width
from messaging.terminal.stopping import Stop
from messaging.terminal.tailer import Tailer, Wanted

LAST = 10  # messages of the past that a person sees first


class Command(TerminalCommand):
    help = """Follow the log: every message of the channels that match, as it is published.

On a terminal: time, channel, type if it is not the channel's name, payload. In a pipe: one JSON object a line, with
the payload as "data" (bytes: "data_base64") and the place in the log as "at"."""

    epilog = """examples:
  manage.py tail                            the last 10 messages, then what comes
  manage.py tail 'orders.*' 'payments.*'    only these channels (Redis globs)
  manage.py tail --since 1h --grep error    what spoke of errors in the last hour, then what comes
  manage.py tail --where data.user.id=42 'orders.*'
                                            only what is about this user
  manage.py tail 'orders.*' | jq .data      each payload as it comes
  manage.py tail --until-end > log.ndjson   all that the log holds, then end
  manage.py tail orders.created --count 1 --timeout 30 --raw
                                            wait for one message and print its payload
  manage.py tail --since 1d 'orders.*' --until-end --exec shop.reports:count
                                            call shop.reports.count(event) for each

An entry that is no event has no channel: with PATTERN or --where it is passed over, and how many were is said at the
end.

A call of --exec that fails is told and not repeated; work that must be done belongs into a subscriber.

exit codes: 0 ended by INT or TERM, by --count, --timeout or --until-end, 1 less than --count messages came or a call
failed, 2 usage, 3 cannot start. Redis away is no error: it waits, and goes on where it was."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "patterns", nargs="*", metavar="PATTERN", help="channels, as names or Redis globs (default: all)"
        )
        start = parser.add_mutually_exclusive_group()
        start.add_argument(
            "--last",
            type=how_many,
            metavar="N",
            help=f"begin with the last N messages that match, or with 'all' of the log "
            f"(default: {LAST} on a terminal, 0 in a pipe, all with --until-end)",
        )
        start.add_argument(
            "--since",
            type=moment,
            metavar="WHEN",
            help="begin there: 90s, 10m, 2h, 1d ago, an ISO time, or behind a position such as 1763765275123-0",
        )
        start.add_argument(
            "--new", action="store_const", const=0, dest="last", help="begin with the next message"
        )
        parser.add_argument(
            "--until-end", action="store_true", help="end at the end of the log, wait for nothing"
        )
        parser.add_argument(
            "--count", type=whole("a whole number from 1", least=1), metavar="N", help="end after N messages"
        )
        parser.add_argument("--timeout", type=seconds, metavar="SECONDS", help="end after so long")
        parser.add_argument(
            "--grep",
            action="append",
            default=[],
            type=expression,
            metavar="REGEX",
            help="only messages in whose channel, type or payload this is found; repeated: all of them",
        )
        parser.add_argument(
            "--exclude", action="append", default=[], type=expression, metavar="REGEX", help="none of these"
        )
        parser.add_argument(
            "--where",
            action="append",
            default=[],
            type=condition,
            metavar="PATH=VALUE",
            help="only messages of which this is true, such as data.user.id=42, 'data.total>=100', key!=7, "
            "headers.tenant=a; repeated: all of them",
        )
        form = parser.add_mutually_exclusive_group()
        form.add_argument("--lines", action="store_true", help="lines for people, in a pipe too")
        form.add_argument("--json", action="store_true", help="JSON lines, on a terminal too")
        form.add_argument("--raw", action="store_true", help="only each payload's bytes and a line end")
        form.add_argument(
            "--exec",
            type=function,
            metavar="MODULE:FUNCTION",
            dest="function",
            help="print nothing, call this function (or coroutine function) with each event",
        )
        size = parser.add_mutually_exclusive_group()
        size.add_argument("--wrap", action="store_true", help="do not cut lines at the terminal's width")
        size.add_argument(
            "--full", action="store_true", help="with all attributes, and JSON over several lines"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        on_terminal = is_terminal(self.stdout)
        wanted = Wanted(
            channels=options["patterns"],
            grep=options["grep"],
            exclude=options["exclude"],
            where=options["where"],
        )
        last = options["last"]
        if last is None and options["since"] is None:
            last = "all" if options["until_end"] else LAST if on_terminal else 0
        calls = (
            Calls(options["function"], lambda said: self.tell(said, False)) if options["function"] else None
        )
        write = calls or self.writer(on_terminal, options)
        with Stop() as stop:
            try:
                tailer = Tailer(stop, wanted=wanted, tell=self.tell)
            except Misconfigured as error:
                self.end(CANNOT_START, f"Cannot start: {error}")
            if on_terminal and not options["until_end"]:
                what = " ".join(options["patterns"]) or "all channels"
                self.say(self.paint.dim(f"Following {what} of {connection.where()}; Ctrl-C ends."))
            left = self.show(tailer, write, last, options)
        if over := tailer.passed_over:
            entries = f"{counted(over, 'entry that is', 'entries that are')} no event"
            self.tell(f"{entries} passed over: tail without PATTERN and --where shows them", False)
        if calls and calls.failed:
            self.end(FAILED, f"{counted(calls.failed, 'call')} failed.")
        if left and not stop.asked:
            sys.exit(FAILED)

    def show(
        self, tailer: Tailer, write: Callable[[Read], None], last: int | str | None, options: dict[str, Any]
    ) -> int | None:
        """Until the end or a stop; how many are left of ``--count``."""
        left: int | None = options["count"]
        for batch in tailer.batches(
            last=last if isinstance(last, int) else None,
            since=options["since"],
            until_end=options["until_end"],
            seconds=options["timeout"],
        ):
            for each in batch:
                if isinstance(each, Lost):
                    self.stdout.flush()
                    self.tell(sentence_of(each), False)
                    continue
                write(each)
                if left is not None:
                    left -= 1
                    if not left:
                        self.stdout.flush()
                        return left
            self.stdout.flush()
        return left

    def writer(self, on_terminal: bool, options: dict[str, Any]) -> Callable[[Read], None]:
        """What writes one entry in the form that was asked for."""
        if options["raw"]:
            return lambda each: self.put(lines.as_raw(each))
        if options["json"] or not (on_terminal or options["lines"] or options["wrap"] or options["full"]):
            return lambda each: self.put(lines.as_json(each))
        persons = PersonsLines(
            Paint.of(self.stdout, options),
            width=width,
            whole=options["wrap"] or not on_terminal,
            full=options["full"],
        )
        encoding = getattr(self.stdout, "encoding", None) or "utf-8"
        return lambda each: self.put(persons.line(each).encode(encoding, "backslashreplace"))

    def tell(self, sentence: str, good: bool) -> None:
        """A change of state, on stderr."""
        self.say((self.paint.green if good else self.paint.yellow)(f"tail: {sentence}"))


def sentence_of(lost: Lost) -> str:
    """A gap in words."""
    where = f"partition {lost.partition}: " if len(log.partitions()) > 1 else ""
    if lost.reason == "reborn":
        return f"gap: {where}Redis lost its log and began a new one; what was in it and not shown yet is gone"
    many = "messages" if lost.missed is None else f"{lost.missed:,} messages"
    return f"gap: {where}{many} had left the log before they could be shown (see REPLAY_ENTRIES)"


# -- what options mean --------------------------------------------------------------------------------------------


def how_many(text: str) -> int | str:
    """``"all"`` or a number from 0."""
    if text == "all":
        return text
    return whole("a whole number from 0", least=0)(text)


def condition(text: str) -> Condition:
    """As ``messaging.terminal.conditions`` says."""
    try:
        return Condition.of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def function(text: str) -> Function:
    """As ``messaging.terminal.calling`` says."""
    try:
        return function_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def expression(text: str) -> re.Pattern[str]:
    """A regular expression."""
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"not a regular expression: {error}: {text!r}") from None
