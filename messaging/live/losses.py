"""Gap rows -> frames that say where something was lost: to whoever listens, and within the history that a page begins
with.

The relay records what may have been lost before it was stored; a stream sees by itself only what happens to the log
while it is open. A frame named ``loss`` has no id: it is no place to resume from.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from messaging.conf import conf
from messaging.frames import named
from messaging.live.ring import Item
from messaging.log import START, Position
from messaging.models import Gap

if TYPE_CHECKING:
    from messaging.live.hub import Hub

logger = logging.getLogger("messaging.live")

MOST = 20  # the newest of them
FRESH_SECONDS = 2.0
PATIENCE_SECONDS = 0.5  # that a beginning stream waits for the database
UNSEEN = ("restarted",)  # what a stream that goes on from its own place cannot notice


class Loss(NamedTuple):
    """A gap row: behind which position something may be missing, and before which."""

    id: int
    behind: Position
    before: Position
    reason: str
    frame: bytes


def stored() -> list[Loss]:
    """The newest losses, oldest first. Blocks; raises what the database raises."""
    rows = Gap.objects.using(conf.DATABASE).order_by("-pk")[:MOST]
    return [loss_of(row) for row in reversed(rows)]


def loss_of(row: Gap) -> Loss:
    """A row as it is told."""
    facts = {
        "from": f"{row.from_epoch}.{row.from_position}",
        "to": f"{row.to_epoch}.{row.to_position}",
        "reason": row.reason,
        "missed": row.missed,
        "partition": row.partition,
        "noticed": row.noticed_at.isoformat(),
    }
    return Loss(
        row.pk, _position(row.from_position), _position(row.to_position), row.reason, named("loss", facts)
    )


def _position(text: str) -> Position:
    try:
        return Position.parse(text)
    except ValueError:
        return START


def among(
    items: Sequence[Item], losses: Iterable[Loss], *, count: int, retained_ms: int | None
) -> list[Item]:
    """A history of up to ``count`` items, with its losses in their places. It goes back to its first item, or, when it
    has fewer, to what the log retains (``None``: nobody knows)."""
    if not items:
        return []
    oldest_ms = items[0].own.ms if len(items) >= count or retained_ms is None else retained_ms
    inside = deque(
        sorted(
            (loss for loss in losses if max(loss.behind, loss.before) >= (oldest_ms, 0)),
            key=lambda loss: loss.behind,
        )
    )
    found: list[Item] = []
    for item in items:
        while inside and inside[0].behind < item.own[1:]:
            found.append(_item(item, inside.popleft()))
        found.append(item)
    return found + [_item(items[-1], loss) for loss in inside]


def _item(near: Item, loss: Loss) -> Item:
    return Item(near.partition, near.where, None, loss.frame, everyone=True)


class Losses:
    """Those that a hub knows of, asked for again when they are two seconds old."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._known: list[Loss] | None = None
        self._asked = 0.0
        self._asking: asyncio.Task[None] | None = None

    async def fresh(self) -> list[Loss]:
        """The newest, as well as the database says within half a second."""
        if time.monotonic() - self._asked > FRESH_SECONDS or self._known is None:
            await asyncio.wait({self.learn()}, timeout=PATIENCE_SECONDS)
        return self._known or []

    def learn(self) -> asyncio.Task[None]:
        """Ask, and tell the streams what is new and what they cannot know. While the database is away nothing is.

        One question at a time: of two answers the older one might come last.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._learn())
        return self._asking

    async def _learn(self) -> None:
        self._asked = time.monotonic()
        try:
            found = await self._hub.readers.run(stored)
        except Exception as error:  # the database's; Resting
            logger.debug("losses are not known: %s", error)
            return
        known, self._known = self._known, found
        if known is None:
            return
        latest = max((loss.id for loss in known), default=0)
        for loss in found:
            if loss.id > latest and loss.reason in UNSEEN:
                self._hub.tell(loss.frame)
