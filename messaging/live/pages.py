"""What a search for missed messages finds: pages, and gaps. Types only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from messaging.frames import Place, Where, format_id
from messaging.live.ring import Item


class Gap(NamedTuple):
    """What a client missed, or may have missed."""

    since: str | None
    to: Where
    reason: str  # "trimmed", "reborn" or "overrun"
    missed: int | None = None

    def facts(self) -> dict[str, object]:
        return {"from": self.since, "to": format_id(self.to), "reason": self.reason, "missed": self.missed}


class Source(NamedTuple):
    """What one partition has behind a place. ``upto``: how far that is; ``more``: does it go on there?"""

    items: list[Item]
    upto: Place
    more: bool


class Page(NamedTuple):
    """Items behind a place, and the place behind them. ``where`` stays when there is nothing more in the log."""

    items: Sequence[Item]
    where: Where
    gap: Gap | None = None
