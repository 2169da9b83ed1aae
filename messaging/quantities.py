"""Numbers -> words: sizes, spans of time, moments. The pages and the admin say them alike."""

from __future__ import annotations

from datetime import datetime, tzinfo

from django.utils import timezone

COUNTED = 10_000  # rows are counted up to this, so that a look costs little


def capped(count: int) -> str:
    """Rows that were counted so: 9,999 or "10,000 or more"."""
    return f"{COUNTED:,} or more" if count >= COUNTED else f"{count:,}"


def size(count: int) -> str:
    """Bytes: 17 bytes, 1.5 KiB, 2.0 MiB."""
    if count < 1024:
        return f"{count} byte" if count == 1 else f"{count} bytes"
    if count < 1024 * 1024:
        return f"{count / 1024:.{1 if count < 10_240 else 0}f} KiB"
    return f"{count / 1024 / 1024:.1f} MiB"


def span(milliseconds: float) -> str:
    """A span in one unit: 3 ms, 1.5 s, 4 min, 2 h, 3 d."""
    count = abs(milliseconds)
    sign = "−" if milliseconds <= -0.5 else ""
    if count < 1000:
        return f"{sign}{count:.0f} ms"
    if count < 120_000:
        return f"{sign}{count / 1000:.{1 if count < 10_000 else 0}f} s"
    for unit, length, limit in (("min", 60_000, 7_200_000), ("h", 3_600_000, 172_800_000)):
        if count < limit:
            return f"{sign}{count / length:.0f} {unit}"
    return f"{sign}{count / 86_400_000:,.0f} d"


def moment(time: datetime, zone: tzinfo | None = None) -> str:
    """A time with milliseconds, in the current time zone if in no other one: 2026-01-31 14:03:22.125 UTC."""
    local = timezone.localtime(time, zone)
    return f"{local.replace(tzinfo=None).isoformat(' ', 'milliseconds')} {local.tzname()}"


def clock(time: datetime, *, now: datetime) -> str:
    """The same, short: 14:03:22.125, and the date before it when it is another day than ``now``."""
    local, today = timezone.localtime(time), timezone.localtime(now)
    text = local.replace(tzinfo=None).isoformat(" ", "milliseconds")
    return text[11:] if local.date() == today.date() else text
