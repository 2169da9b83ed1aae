"""A query -> the chunks of one client's stream, until it ends.

    hello, [gap], history or what was missed, live, then chunks as they come, [bye]

The places that a stream has read are always known, so that whatever happens (its feed has moved on without it, the
log was trimmed, Redis came back as another) it looks for what it has missed: in the ring, in the log, in the table; and
says so where it finds less than all.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from functools import partial

from messaging import connection, frames
from messaging.conf import conf
from messaging.frames import Where, format_id
from messaging.live import history
from messaging.live.counters import counters
from messaging.live.feed import CHUNK_BYTES
from messaging.live.hub import Hub, spread
from messaging.live.query import Query
from messaging.live.ring import Item, in_order

logger = logging.getLogger("messaging.live")

AGAIN_SECONDS = (0.2, 0.6)  # between two attempts to read what a client missed
DETACHED = -1  # a place in no feed


def _nothing() -> None:
    pass


class Stream:
    """One client. Made and iterated on the hub's loop."""

    __slots__ = (
        "_beat_due",
        "_ending",
        "_hub",
        "_query",
        "_sent",
        "_waiter",
        "abort",
        "at",
        "busy_since",
        "checked",
        "expires",
        "feed",
        "filter",
        "gone",
        "session_key",
        "since",
        "wrote",
    )

    def __init__(self, hub: Hub, query: Query, *, session_key: str = "") -> None:
        now = time.monotonic()
        self.filter = query.filter
        self.session_key = session_key
        self.since: Where = ()
        self.at = DETACHED  # position in the feed
        self.wrote = self.checked = now
        self.busy_since = 0.0  # since when a write has not come back; 0: none
        self.expires = now + conf.LIVE_MAX_AGE_SECONDS * spread(0.8, 1.0)
        self.gone = False  # the client has left: nothing more can be sent
        self.abort: Callable[[], object] = _nothing  # cuts the connection, where the server lets us
        self._hub = hub
        self._query = query
        self._waiter: asyncio.Future[None] | None = None
        self._ending = ""
        self._beat_due = False
        self._sent = 0  # frames while catching up
        self.feed = hub.join(self)

    # -- what others tell it --------------------------------------------------------------------------------------

    def wake(self) -> None:
        """There is something to do."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def end(self, reason: str) -> None:
        """Say bye and close."""
        self._ending = self._ending or reason
        self.wake()

    def leave(self) -> None:
        """The client has gone by itself."""
        self.gone = True
        self.wake()

    def drop(self) -> None:
        """The client takes nothing any more: cut it off."""
        self.leave()
        self.abort()

    def beat(self) -> None:
        """Nothing was sent for a while."""
        self._beat_due = True
        self.wake()

    def detach(self) -> None:
        """The feed cannot be relied on: look for what was missed."""
        if self.at == self.feed.end and self.at != DETACHED:
            self.since = self._hub.heads
        self.at = DETACHED

    # -- what it sends --------------------------------------------------------------------------------------------

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Bytes to write, one after the other; the next is made when the one before has been taken."""
        try:
            yield frames.retry(frames.RETRY_MS)
            async for chunk in self._until_ready():
                yield chunk
            if not self._done:
                async for chunk in self._begin():
                    yield chunk
            while not self._done:
                if self.at < self.feed.first:
                    counters.overruns += 1
                    async for chunk in self._catch_up():
                        yield chunk
                    continue
                found = self.feed.take(self.at)
                if found is not None:
                    chunk, end, self.since = found
                    counters.frames += end - self.at
                    counters.bytes += len(chunk)
                    counters.chunks += 1
                    self.at = end
                    yield chunk
                elif self._beat_due:
                    yield self._beat()
                else:
                    self.feed.sleepers.add(self)
                    await self._wait()
            if not self.gone:
                yield farewell(self._ending, clients=len(self._hub.streams))
        finally:
            self._hub.leave(self)

    @property
    def _done(self) -> bool:
        return self.gone or bool(self._ending)

    async def _wait(self, seconds: float | None = None) -> None:
        """Until woken, or so many seconds."""
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = None if seconds is None else loop.call_later(seconds, self.wake)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _beat(self) -> bytes:
        """A heartbeat, which tells a client that is not behind how far it has read."""
        self._beat_due = False
        level = self.at == self.feed.end
        if level:
            self.since = self._hub.heads
        return frames.beat(format_id(self.since) if level else "")

    async def _until_ready(self) -> AsyncGenerator[bytes, None]:
        """A process that has never reached Redis has nothing to begin with."""
        told = False
        while not (self._hub.ready or self._done):
            if self._hub.away and not told:
                told = True
                yield frames.comment("Redis is away, waiting for it")
            if self._beat_due:
                self._beat_due = False
                yield frames.beat()
            await self._wait(0.5)

    async def _begin(self) -> AsyncGenerator[bytes, None]:
        """``hello``, then what the client asked for, up to the moment from which its feed goes on."""
        query, hub = self._query, self._hub
        position = hub.heads if query.since is None else query.since
        facts = {
            "position": format_id(position),
            "now": now_ms(),
            "channels": self.filter.patterns,
            "retention": hub.retention,
            "resumed": query.since is not None,
        }
        yield frames.named("hello", facts)
        if query.since is None:
            async for chunk in self._history(query.last):
                yield chunk
        else:
            self.since = query.since
            async for chunk in self._catch_up():
                yield chunk
        where = format_id(self.since)
        yield frames.named("live", {"position": where, "now": now_ms()}, id=where)

    async def _history(self, last: int) -> AsyncGenerator[bytes, None]:
        """The newest messages up to now; the feed goes on behind them. While Redis is away: what memory has."""
        hub = self._hub
        self.at, self.since = self.feed.end, hub.heads
        origin, items = hub.ring.origin, hub.ring.newest(self.filter, last)
        if len(items) < last:
            read = partial(history.before, origin=origin, filter_=self.filter, count=last - len(items))
            try:
                items = [*await hub.threads.run(lambda: read(connection.client())), *items]
            except Exception as error:  # Redis's or the database's
                logger.warning("a stream begins with less history: %s", error)
        if len(self.since) > 1:
            items = in_order(items, self.since)
        for chunk in self._joined(items):
            yield chunk

    async def _catch_up(self) -> AsyncGenerator[bytes, None]:
        """What came after ``since``, up to now; the feed goes on behind it."""
        hub = self._hub
        self.at = DETACHED
        while not self._done:
            items = hub.ring.after(self.since)
            if items is not None and not self._ahead():
                self.at, self.since = self.feed.end, hub.heads
                wanted = [item for item in items if item.everyone or self.filter.takes(item.channel)]
                for chunk in self._joined(wanted):
                    yield chunk
                return
            if self._sent > conf.LIVE_CATCH_UP:
                gap = history.Gap(format_id(self.since), hub.heads, "overrun")
                self.since, self._sent = hub.heads, 0
                yield told(gap)
                continue
            page = await self._page()
            if page is None or page.where == self.since:  # Redis is away, or our reader is behind it
                await self._wait(spread(*AGAIN_SECONDS))
                if self._beat_due:
                    self._beat_due = False
                    yield frames.beat()
                continue
            self.since = page.where
            if page.gap is not None:
                yield told(page.gap)
            for chunk in self._joined(page.items):
                yield chunk

    async def _page(self) -> history.Page | None:
        """The next page of what was missed; ``None`` if it cannot be read just now."""
        counters.catch_ups += 1
        read = partial(history.after, since=self.since, filter_=self.filter)
        try:
            return await self._hub.threads.run(lambda: read(connection.client()))
        except Exception as error:  # Redis's or the database's
            logger.info("a stream waits to catch up: %s", error)
            return None

    def _ahead(self) -> bool:
        """Has the client read further than this process?"""
        return any(
            mine.epoch == head.epoch and mine > head
            for mine, head in zip(self.since, self._hub.heads, strict=True)
        )

    def _joined(self, items: Iterable[Item]) -> Iterator[bytes]:
        for chunk, count in joined(items):
            self._sent += count
            counters.frames += count
            counters.bytes += len(chunk)
            counters.chunks += 1
            yield chunk


def told(gap: history.Gap) -> bytes:
    """A gap as the client hears of it."""
    counters.gaps += 1
    return frames.named("gap", gap.facts(), id=format_id(gap.to))


def joined(items: Iterable[Item]) -> Iterator[tuple[bytes, int]]:
    """Frames -> chunks of a size that suits one write, each with its number of frames."""
    parts: list[bytes] = []
    size = 0
    for item in items:
        if parts and size + len(item.frame) > CHUNK_BYTES:
            yield b"".join(parts), len(parts)
            parts, size = [], 0
        parts.append(item.frame)
        size += len(item.frame)
    if parts:
        yield b"".join(parts), len(parts)


def farewell(reason: str, *, clients: int = 0) -> bytes:
    """The last frame. When many clients are told to come back, they come over some seconds."""
    low, high = (5.0, 15.0) if reason == "overload" else (0.5, 1.5 + clients / 500)
    return frames.named("bye", {"reason": reason}, retry=int(spread(low, high) * 1000))


def now_ms() -> int:
    return int(time.time() * 1000)
