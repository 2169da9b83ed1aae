"""Messages that are being published -> their places on stdout, a status line meanwhile, a sentence at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from messaging.event import Event
from messaging.terminal.intake import Totals
from messaging.terminal.output import OutputLost
from messaging.terminal.screen import Rate, StatusLine, counted

SHOWN_EVERY = 0.2  # seconds between two progress lines


class Places:
    """Prints where messages are as long as somebody takes it. Publishing goes on without: the input would be lost."""

    def __init__(
        self, report: Callable[[Sequence[Event]], None] | None, tell: Callable[[str, bool], None]
    ) -> None:
        self._report = report
        self._tell = tell
        self.missing = False  # was something to be kept that could not be written?

    def __call__(self, events: Sequence[Event]) -> None:
        if self._report is None:
            return
        try:
            self._report(events)
        except OutputLost as error:
            self._report = None
            self.missing = not error.is_closed
            self._tell(f"{error}: publishing goes on, where messages are is not printed any more", False)


class Progress:
    """Totals -> the status line, a few times a second."""

    def __init__(self, status: StatusLine) -> None:
        self._status = status
        self._rate = Rate()
        self._next = 0.0

    def show(self, totals: Totals) -> None:
        if (now := time.monotonic()) >= self._next:
            self._next = now + SHOWN_EVERY
            waiting = f", {totals.unsent:,} waiting for Redis" if totals.unsent else ""
            self._status.show(f"{totals.sent:,} published, {self._rate.of(totals.sent):,.0f}/s{waiting}")


def summary(totals: Totals, channel: str, seconds: float) -> str:
    """What became of the lines, in a sentence."""
    rate = f" ({totals.sent / seconds:,.0f}/s)" if totals.sent > 1 and seconds > 0.1 else ""
    text = f"{counted(totals.sent, 'message')} published to {channel} in {seconds:.1f} s{rate}"
    if totals.blank:
        text += f", {counted(totals.blank, 'blank line')} skipped"
    if totals.refused:
        text += f", {counted(totals.refused, 'line')} refused"
    return text
