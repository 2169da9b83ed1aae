"""Messages that are being published -> a status line meanwhile, a sentence at the end."""

from __future__ import annotations

import time

from messaging.terminal.intake import Totals
from messaging.terminal.screen import Rate, StatusLine, counted

SHOWN_EVERY = 0.2  # seconds between two progress lines


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
