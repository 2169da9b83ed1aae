"""Entries in the order in which this process read them -> the newest of them, to resume from. Pure: no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import msgspec
from msgspec.structs import replace

from messaging.frames import Place, Where, with_id
from messaging.live.filters import Filter

MAX_BYTES = 64 * 1024 * 1024


class Item(msgspec.Struct, frozen=True, gc=False):
    """One frame. ``where`` is how far its reader has read with it; ``where[partition]`` is its own place."""

    partition: int
    where: Where
    channel: str | None  # None: no event
    frame: bytes
    data: int = 0  # where in the frame the part behind the id begins; 0: it has none
    everyone: bool = False  # a gap or a loss: every stream gets it, whatever its filter
    body: bytes | None = None  # the event, if what is shown of it depends on who looks

    @classmethod
    def of(
        cls,
        partition: int,
        where: Where,
        channel: str | None,
        data: bytes,
        *,
        everyone: bool = False,
        body: bytes | None = None,
    ) -> Item:
        frame = with_id(where, data)
        return cls(partition, where, channel, frame, len(frame) - len(data), everyone, body)

    @classmethod
    def alone(
        cls, partition: int, place: Place, channel: str | None, data: bytes, body: bytes | None = None
    ) -> Item:
        """As a reader of its partition alone numbers it."""
        where = (Place("", 0, 0),) * partition + (place,) if partition else (place,)
        frame = with_id(where, data)
        return cls(partition, where, channel, frame, len(frame) - len(data), body=body)

    @property
    def own(self) -> Place:
        return self.where[self.partition]

    def seen_from(self, where: Where) -> Item:
        """The same with the id of another reader, who came by another order of the partitions."""
        if where == self.where:
            return self
        if not self.data:
            return replace(self, where=where)
        data = self.frame[self.data :]
        return Item.of(self.partition, where, self.channel, data, everyone=self.everyone, body=self.body)


class Ring:
    """The newest items, at most ``size`` of them and at most 64 MiB. Complete: nothing is missing between its
    ``origin`` (the places right before its first item) and its end."""

    def __init__(self, size: int, *, max_bytes: int = MAX_BYTES) -> None:
        self.origin: Where = ()
        self.end = 0  # serial number of the next item
        self.bytes = 0
        self._items: deque[Item] = deque()
        self.size = size
        self._max_bytes = max_bytes

    def __len__(self) -> int:
        return len(self._items)

    @property
    def first(self) -> int:
        """Serial number of the oldest item still there."""
        return self.end - len(self._items)

    def add(self, item: Item) -> None:
        self._items.append(item)
        self.end += 1
        self.bytes += len(item.frame)
        while len(self._items) > self.size or (self.bytes > self._max_bytes and len(self._items) > 1):
            oldest = self._items.popleft()
            self.origin = oldest.where
            self.bytes -= len(oldest.frame)

    def restart(self, origin: Where) -> None:
        """Forget everything: what follows does not join what is there."""
        self._items.clear()
        self.bytes = 0
        self.origin = origin

    def after(self, since: Where) -> list[Item] | None:
        """Everything behind these places, oldest first; ``None`` if the ring does not reach back so far."""
        open_ = set(range(len(since)))
        found: list[Item] = []
        for item in reversed(self._items):
            partition = item.partition
            if partition not in open_:
                continue
            place, known = item.where[partition], since[partition]
            if place.epoch == known.epoch and place <= known:
                open_.discard(partition)
                if not open_:
                    break
            else:
                found.append(item)
        for partition in open_:
            origin, known = self.origin[partition], since[partition]
            if origin.epoch != known.epoch or origin > known:
                return None
        found.reverse()
        return list(renumbered(found, since)) if len(since) > 1 else found

    def newest(self, filter_: Filter, count: int) -> list[Item]:
        """Up to ``count`` messages that the filter takes, oldest first."""
        return newest(reversed(self._items), filter_, count)

    def items(self) -> list[Item]:
        """A copy, oldest first, for another thread."""
        return list(self._items)


def newest(backwards: Iterable[Item], filter_: Filter, count: int) -> list[Item]:
    """Up to ``count`` messages that the filter takes, oldest first, of items that come newest first."""
    found: list[Item] = []
    if count:
        for item in backwards:
            if not item.everyone and filter_.takes(item.channel):
                found.append(item)
                if len(found) == count:
                    break
    found.reverse()
    return found


def renumbered(items: Iterable[Item], since: Where) -> Iterator[Item]:
    """Items with the ids of a reader that stood at ``since`` and reads them in this order."""
    where = list(since)
    for item in items:
        where[item.partition] = item.own
        yield item.seen_from(tuple(where))


def in_order(items: Iterable[Item], upto: Where) -> list[Item]:
    """History of several partitions, sorted by time, with ids from which a client resumes without a hole.

    Before the first item of a partition a client has to be taken to have read up to just before it; of a partition
    without an item, up to where the history ends.
    """
    ordered = sorted(items, key=lambda item: (item.own[1:], item.partition))
    since = list(upto)
    for item in reversed(ordered):
        since[item.partition] = item.own.before()
    return list(renumbered(ordered, tuple(since)))
