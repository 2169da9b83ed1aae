"""Foreign channels and lists, and the log -> rows: the listener in the foreground."""

from __future__ import annotations

import signal
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand

from messaging.errors import Misconfigured
from messaging.listener import Listener, Report

EPILOG = """examples:
  manage.py listen                       relay the log; capture what the settings name
  manage.py listen 'orders.*' updates    capture these channels too
  manage.py listen --list inbox          drain this list too, first in, first out

exit codes: 0 drained after INT or TERM, 2 usage, 3 cannot start; a second INT or TERM ends it at once
"""


class Command(BaseCommand):
    help = "Relay messages from Redis into the database, until told to stop."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.epilog = EPILOG
        parser.add_argument(
            "channels", nargs="*", metavar="PATTERN", help="foreign Pub/Sub channels to capture"
        )
        parser.add_argument(
            "--list",
            action="append",
            default=[],
            dest="lists",
            metavar="NAME",
            help="a foreign list to drain",
        )
        parser.add_argument(
            "--quiet",
            action="store_true",
            help="no progress line on a terminal (default: shown on a terminal)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            listener = Listener(channels=options["channels"], lists=options["lists"])
        except Misconfigured as error:
            self.stderr.write(f"Cannot start: {error}")
            sys.exit(3)

        def drain(number: int, frame: FrameType | None) -> None:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            listener.stop()

        signal.signal(signal.SIGINT, drain)
        signal.signal(signal.SIGTERM, drain)
        progress = None
        if sys.stderr.isatty() and not options["quiet"]:
            progress = Progress(self.stderr).show
        listener.run(on_tick=progress)
        if progress is not None:
            self.stderr.write("")


class Progress:
    """Reports -> one line that is written over itself: what a person wants to know at a glance."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._last: Report | None = None

    def show(self, report: Report) -> None:
        """Replace the line."""
        self._stream.write(f"\r\x1b[2K{self._line(report)}", ending="")
        self._stream.flush()
        self._last = report

    def _line(self, report: Report) -> str:
        if not report.in_charge:
            return f"standing by for {report.holder or 'Redis'}"
        rate = 0.0
        if self._last is not None and report.at > self._last.at:
            rate = (report.stored - self._last.stored) / (report.at - self._last.at)
        state = "; ".join(sorted(set(report.failures.values()))) or "ok"
        stored = f"{report.stored:,} stored ({rate:,.0f}/s), {report.captured:,} captured"
        return f"{stored}, lag {report.lag_seconds:.1f} s, {state}"
