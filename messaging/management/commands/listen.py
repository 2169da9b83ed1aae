"""``manage.py listen``: foreign channels and lists, and the log -> rows; the listener in the foreground."""

from __future__ import annotations

import os
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from messaging import connection
from messaging.checks import check_settings
from messaging.errors import Misconfigured
from messaging.exits import CANNOT_START, DRAIN_TIMED_OUT
from messaging.listener import Listener, Report
from messaging.loop import Loop
from messaging.management.terminal_command import TerminalCommand
from messaging.probing import CannotBind, Probe, address
from messaging.readyfile import CannotMake, ReadyFile
from messaging.taskchecks import check_task_settings
from messaging.terminal.output import Reports
from messaging.terminal.screen import Rate, StatusLine, is_terminal
from messaging.terminal.stopping import Stop

SILENT_SECONDS = 60.0  # without a report; a Redis that swallows everything may hold one up for half of that


class Command(TerminalCommand):
    help = """Relay messages from Redis into the database, until told to stop.

Captures what others send over Pub/Sub and through lists, if the settings or the arguments name it. Any number of
listeners may run: one is in charge, the others stand by."""

    epilog = """examples:
  manage.py listen                       relay the log; capture what the settings name
  manage.py listen 'orders.*' updates    capture these Pub/Sub channels too
  manage.py listen --list inbox          drain this list too, first in, first out
  manage.py listen --probe 8081          GET :8081/readyz is 200 while it relays, or stands by for one who does

exit codes: 0 drained after INT or TERM, 2 usage, 3 cannot start (settings, no tables), 5 drain timed out; a second
INT or TERM ends it at once with 130. Redis or the database away is no error: it waits, and says so."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "channels",
            nargs="*",
            metavar="PATTERN",
            help="foreign Pub/Sub channels to capture, as names or Redis globs",
        )
        parser.add_argument(
            "--list",
            action="append",
            default=[],
            dest="lists",
            metavar="NAME",
            help="a foreign list to drain, its right end first; repeatable",
        )
        parser.add_argument(
            "--ready-file",
            type=Path,
            metavar="PATH",
            help="a file that is there while it relays or stands by",
        )
        parser.add_argument(
            "--probe",
            type=address,
            metavar="[HOST:]PORT",
            help="answer /healthz and /readyz there over HTTP: ready is who relays or stands by (default: no port)",
        )
        parser.add_argument(
            "--json", action="store_true", help="a report on stdout each second, one JSON object a line"
        )
        parser.add_argument(
            "--quiet", action="store_true", help="no progress line (default: shown when stderr is a terminal)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.need_settings(check_settings())
        self.need_settings(check_task_settings())
        try:
            listener = Listener(channels=options["channels"], lists=options["lists"])
        except Misconfigured as error:
            self.end(CANNOT_START, f"Cannot start: {error}")
        self.need_tables()
        shown = is_terminal(self.stderr) and not options["quiet"]
        if shown:
            self.say(self.paint.dim(f"Listening to {connection.where()}; Ctrl-C drains and ends."))
        try:
            with Probe(options["probe"], name="listener", silent_seconds=SILENT_SECONDS) as probe:
                self.listen(listener, options, probe, shown=shown)
        except (CannotBind, CannotMake) as error:
            self.end(CANNOT_START, f"Cannot start: {error}")
        if any(
            isinstance(thread, Loop) for thread in threading.enumerate()
        ):  # run() waited for them long enough
            self.end(
                DRAIN_TIMED_OUT,
                "Drain timed out: a part did not end; what it held is not lost, but stored later",
            )

    def listen(self, listener: Listener, options: dict[str, Any], probe: Probe, *, shown: bool) -> None:
        """Until told to stop."""

        def drain() -> None:
            listener.stop()
            if shown:
                os.write(sys.stderr.fileno(), b"\r\x1b[2Kdraining; a second Ctrl-C ends at once\n")

        with (
            Stop(drain),
            StatusLine(self.talk, shown=shown) as status,
            ReadyFile(options["ready_file"]) as ready,
        ):
            progress = Progress(status)
            tell = partial(self.warn, status)
            report_json = Reports(self.put_json if options["json"] else None, tell)

            def tick(report: Report) -> None:
                progress.show(report)
                reasons = idle(report)
                ready.show(not reasons)
                probe.show(report, idle=reasons, stuck=listener.stuck())
                report_json(report)

            listener.run(on_tick=tick)

    def warn(self, status: StatusLine, sentence: str) -> None:
        """A change of state, on stderr."""
        status.clear()
        self.say(self.paint.yellow(f"listen: {sentence}"))


def idle(report: Report) -> list[str]:
    """Why nothing is relayed; empty while it is, by this listener or by the one that it stands by for."""
    return sorted(set(report.failures.values())) or ([] if report.holder else ["waiting for Redis"])


class Progress:
    """Reports -> the status line: what a person wants to know at a glance."""

    def __init__(self, status: StatusLine) -> None:
        self._status = status
        self._rate = Rate()

    def show(self, report: Report) -> None:
        """Replace the line."""
        self._status.show(self._line(report))

    def _line(self, report: Report) -> str:
        rate = self._rate.of(report.stored)
        state = "; ".join(idle(report))
        if not report.in_charge:
            return state or f"standing by for {report.holder}"
        return (
            f"{report.stored:,} stored ({rate:,.0f}/s), {report.captured:,} captured, "
            f"lag {report.lag_seconds:.1f} s, {state or 'ok'}"
        )
