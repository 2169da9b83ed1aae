"""What a person says about when (``10m``, ``2025-11-21T17:30``, a position) -> a place in the log, and back."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from messaging.errors import shown
from messaging.log import START, Position

LAST_NUMBER = 2**64 - 1  # of either half of a stream id

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGE = re.compile(r"(?:\d+(?:\.\d+)?[smhdw])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def position_of(text: str, *, now: datetime) -> Position:
    """The position behind which to read. ``now`` is aware; a time without a zone is in the zone of ``now``.

    ``90s 10m 1h30m 2d 1w`` (so long ago) and an ISO 8601 date or time mean: from that moment on. A position or a
    location (``1763765275123-0``, ``0.1763765275123-0``) means: behind that entry. ``ValueError`` for anything else.
    """
    if _AGE.fullmatch(text):
        try:
            age = sum(
                (timedelta(**{_UNITS[unit]: float(number)}) for number, unit in _PART.findall(text)),
                timedelta(),
            )
            return _from(now - age)
        except OverflowError:
            return START
    try:
        return Position.parse(text.rpartition(".")[2] if re.match(r"\d+\.\d+-\d+$", text) else text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"neither an age (90s 10m 2h 1d), nor an ISO time, nor a position of the log: {shown(text)}"
        ) from None
    return _from(moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo))


def time_of(position: Position) -> datetime | None:
    """When Redis took what stands there, in the local zone; ``None`` for a stream id that somebody made by hand, and
    that no calendar holds."""
    try:
        return datetime.fromtimestamp(position.ms / 1000, UTC).astimezone()
    except (ValueError, OverflowError):
        return None


def clock(position: Position) -> str:
    """The same for a sentence, to the second; without a time the position itself."""
    time = time_of(position)
    return str(position) if time is None else f"{time:%Y-%m-%d %H:%M:%S}"


def _from(moment: datetime) -> Position:
    """The position just before the first that this moment can have."""
    ms = int(moment.timestamp() * 1000)
    return START if ms <= 0 else Position(ms - 1, LAST_NUMBER)
