"""What a person says about when (``10m``, ``2025-11-21T17:30``, a position) -> where to start in the log. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from messaging.errors import shown
from messaging.log import START, Position

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGE = re.compile(r"(?:\d+(?:\.\d+)?[smhdw])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_LAST_SEQ = 2**64 - 1


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


def _from(moment: datetime) -> Position:
    """The position just before the first that this moment can have."""
    ms = int(moment.timestamp() * 1000)
    return START if ms <= 0 else Position(ms - 1, _LAST_SEQ)
