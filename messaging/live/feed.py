"""Frames of one filter -> chunks of bytes that all its clients share. Pure: no I/O.

A client holds a position in the feed, a number. Whoever stands at the same position gets the same bytes object, joined
once, so a burst costs each client one write however many messages it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from messaging.frames import Where
from messaging.live.direct import chunked
from messaging.live.filters import Filter
from messaging.live.ring import Item

if TYPE_CHECKING:
    from messaging.live.stream import Stream

CHUNK_BYTES = (
    128 * 1024
)  # of one write: what a client that stopped reading costs beside the server's own buffer
MOST_CHUNKS = 8  # joined and kept; more only when clients stand at many places

Body = dict[str, Any]  # an ASGI message


def body(chunk: bytes) -> Body:
    """Bytes as an ASGI server takes them."""
    return {"type": "http.response.body", "body": chunk, "more_body": True}


class Chunk(msgspec.Struct, gc=False):
    """Frames that are written at once, joined once for everybody who gets these bytes."""

    frames: list[bytes]
    size: int  # of all of them
    end: int  # the position behind it
    where: Where  # the places read with it
    _message: Body | None = None
    _framed: bytes = b""

    @property
    def message(self) -> Body:
        """For ``send``."""
        if self._message is None:
            self._message = body(b"".join(self.frames))
        return self._message

    @property
    def framed(self) -> bytes:
        """For :class:`Direct`."""
        if not self._framed:
            self._framed = chunked(self.frames, self.size)
        return self._framed


class Feed:
    """The frames of one filter that the shared ring still has."""

    def __init__(self, filter_: Filter) -> None:
        self.filter = filter_
        self.end = 0  # position of the next frame
        self.visible = (
            0  # up to where clients may take: moved by each flush, so that they take the same spans
        )
        self.clients = 0
        self.sleepers: set[Stream] = set()
        self._items: list[Item] = []
        self._serials: list[int] = []
        self._dropped = 0  # items at the front of the lists that are gone, removed now and then
        self._chunks: dict[int, Chunk] = {}

    @property
    def first(self) -> int:
        """Position of the oldest frame that can still be taken."""
        return self.end - len(self._items) + self._dropped

    def add(self, item: Item, serial: int) -> None:
        self._items.append(item)
        self._serials.append(serial)
        self.end += 1

    def trim(self, oldest: int) -> None:
        """Drop what the shared ring has dropped: items with a serial number below ``oldest``."""
        at, serials = self._dropped, self._serials
        while at < len(serials) and serials[at] < oldest:
            at += 1
        self._dropped = at
        if at > 512 and at * 2 > len(serials):
            del self._items[:at], serials[:at]
            self._dropped = 0

    def flush(self) -> list[Stream]:
        """Let clients take everything; whoever waits for it."""
        self.visible = self.end
        self._chunks.clear()
        return list(self.sleepers)

    def take(self, at: int) -> Chunk | None:
        """What to send to a client at this position; ``None`` when there is nothing, or nothing any more."""
        index = at - self.end + len(self._items)
        if at >= self.visible or index < self._dropped:
            return None
        chunk = self._chunks.get(at)
        if chunk is None:
            chunk = self._join(at, index)
            if len(self._chunks) >= MOST_CHUNKS:
                self._chunks.clear()
            self._chunks[at] = chunk
        return chunk

    def told(self, at: int) -> list[Item]:
        """What everybody is told from this position on: it has no place in the log to be found at."""
        rest = self._items[max(0, at - self.end + len(self._items)) :]
        return [item for item in rest if item.everyone and not item.data]

    def forget_chunks(self) -> None:
        self._chunks.clear()

    def _join(self, at: int, index: int) -> Chunk:
        frames: list[bytes] = []
        size = 0  # of what is in frames
        items = self._items
        for each in range(index, self.visible - at + index):
            frame = items[each].frame
            if size + len(frame) > CHUNK_BYTES and frames:
                break
            size += len(frame)
            frames.append(frame)
        return Chunk(frames, size, at + len(frames), items[index + len(frames) - 1].where)


class SightedFeed(Feed):
    """Of those to whom one user's sight is given: frames are made for them alone."""

    def add(self, item: Item, serial: int) -> None:
        sight = self.filter.sight
        super().add(item if sight is None else sight.item(item), serial)
