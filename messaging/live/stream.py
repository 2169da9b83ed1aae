"""A query -> one client's stream, chunk by chunk, until it ends.

    hello, [gap], history or what was missed, live, then messages as they come, [position], [loss], [source], [bye]

How far a stream has read is always known, so that whatever happens (its feed has moved on without it, the log was
trimmed, Redis came back as another) it looks for what it has missed; :mod:`messaging.live.replay`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from messaging import frames
from messaging.conf import conf
from messaging.frames import Where
from messaging.live import notices, replay
from messaging.live.counters import counters
from messaging.live.direct import Direct
from messaging.live.feed import Chunk, body
from messaging.live.inline import Rest, begin
from messaging.live.query import Query

if TYPE_CHECKING:
    from messaging.live.access import Claim
    from messaging.live.hub import Hub
    from messaging.live.limits import Seat
    from messaging.live.ring import Item

Send = Callable[[Any], Coroutine[Any, Any, object]]

DETACHED = -1  # a position in no feed


def _nothing() -> None:
    pass


class Stream:
    """One client. Made and run on the hub's loop."""

    __slots__ = (
        "__weakref__",
        "_ending",
        "_last",
        "_rest",
        "_resume",
        "_send",
        "_waiter",
        "abort",
        "at",
        "beat_due",
        "busy_since",
        "checked",
        "claim",
        "direct",
        "expires",
        "feed",
        "filter",
        "gone",
        "hub",
        "inline",
        "replayed",
        "seat",
        "since",
        "told",
        "wrote",
    )

    def __init__(
        self, hub: Hub, query: Query, *, claim: Claim | None = None, seat: Seat | None = None
    ) -> None:
        now = time.monotonic()
        self.hub = hub
        self.filter = query.filter
        self.claim = claim  # asked again now and then
        self.seat = seat  # given back at the end
        self.since: Where = ()  # how far it has read
        self.at = DETACHED  # position in the feed
        self.replayed = 0  # frames that did not come from the feed
        self.told: list[Item] = []  # what everybody was told while it was in no feed
        self.wrote = self.checked = now
        self.busy_since = 0.0  # since when a write has not come back; 0: none
        self.expires = now + conf.LIVE_MAX_AGE_SECONDS * notices.spread(0.8, 1.0)
        self.gone = False  # the client has left: nothing more can be sent
        self.beat_due = False
        self.abort: Callable[[], object] = _nothing  # cuts the connection, where the server lets us
        self.inline = False  # may ``send`` be begun outside of a task?
        self.direct: Direct | None = None  # a shorter way than ``send``
        self._send: Send | None = None
        self._rest: Rest | Exception | None = None  # of a write that was begun by a flush
        self._last, self._resume = query.last, query.since
        self._waiter: asyncio.Future[None] | None = None
        self._ending = ""
        self.feed = hub.enter(self)
        self.filter = self.feed.filter  # equal, and shared

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
        self.beat_due = True
        self.wake()

    def tell(self, item: Item) -> None:
        """Everybody hears this. It has no place in the log: a stream that is in no feed would not find it there."""
        if self.at == DETACHED:
            self.told.append(item)

    # -- where it is ----------------------------------------------------------------------------------------------

    def join(self) -> None:
        """From now on its feed has everything that comes."""
        self.at, self.since, self.told = self.feed.end, self.hub.heads, []

    def detach(self) -> None:
        """Its feed cannot be relied on; look for what was missed."""
        if self.at == self.feed.end:
            self.since = self.hub.heads
        elif self.at != DETACHED:
            self.told = self.feed.told(self.at)
        self.at = DETACHED

    @property
    def done(self) -> bool:
        return self.gone or bool(self._ending)

    def wait(self, seconds: float | None = None) -> asyncio.Future[None]:
        """Until woken, or so many seconds."""
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        if seconds is not None:
            timer = loop.call_later(seconds, self.wake)
            waiter.add_done_callback(lambda _: timer.cancel())
        return waiter

    # -- what it sends --------------------------------------------------------------------------------------------

    def push(self, now: float) -> None:
        """Called by a flush, for a stream that sleeps: write what has come, at once if that is possible."""
        feed, direct, send = self.feed, self.direct, self._send
        found = None if self.gone or self._ending else feed.take(self.at)
        if found is None or send is None:
            self.wake()
        elif direct is not None:
            if direct.write(found.framed):
                self._took(found, now)
            if self.at != feed.end:
                self.wake()
        elif self.inline and self._rest is None:
            self._took(found, now)
            try:
                self._rest = begin(send(found.message))
            except Exception as error:  # its task deals with it
                self._rest = error
            if self._rest is not None or self.at != feed.end:
                self.busy_since = now
                self.wake()
        else:
            self.wake()

    def _took(self, found: Chunk, now: float) -> None:
        counters.sent(found.size, len(found.frames))
        self.at, self.since = found.end, found.where
        self.wrote = now

    async def _give(self, found: Chunk, send: Send) -> None:
        """Write it, or wait until the client takes something again."""
        self.busy_since = now = time.monotonic()
        if self.direct is None:
            self._took(found, now)
            await send(found.message)
        elif self.direct.write(found.framed):
            self._took(found, now)
        else:
            await self.direct.drain()
            self.gone = self.gone or self.direct.lost
        self.busy_since = 0.0

    async def run(self, send: Send) -> None:
        """Send it all, until the client leaves or is sent away. ``send`` takes the body messages of ASGI."""
        try:
            async for chunk in self._opening():
                await self._write(send, chunk)
            while not self.done:
                found = self.feed.take(self.at)
                if found is not None:
                    await self._give(found, send)
                    del found  # a stream that waits holds no bytes
                elif self.at < self.feed.first:
                    counters.overruns += self.at != DETACHED
                    async for chunk in replay.missed(self):
                        await self._write(send, chunk)
                elif self.beat_due:
                    await self._write(send, self._beat())
                else:
                    await self._sleep(send)
            if not self.gone:
                await self._write(send, notices.bye(self._ending, clients=len(self.hub.streams)))
        finally:
            self.hub.leave(self)

    async def _sleep(self, send: Send) -> None:
        """Until there is something to do that :meth:`push` cannot do, and what it has begun is done."""
        self._send = send
        self.feed.sleepers.add(self)
        try:
            await self.wait()
        finally:
            self.feed.sleepers.discard(self)
            self._send = None
        rest, self._rest = self._rest, None
        if isinstance(rest, Exception):
            raise rest
        if rest is not None:
            await rest
        self.busy_since = 0.0

    async def _write(self, send: Send, chunk: bytes) -> None:
        self.busy_since = self.wrote = time.monotonic()
        await send(body(chunk))
        self.busy_since = 0.0

    async def _opening(self) -> AsyncGenerator[bytes, None]:
        """Up to ``live``."""
        async for chunk in self._until_ready():
            yield chunk
        if not self.done:
            async for chunk in self._begin():
                yield chunk

    async def _until_ready(self) -> AsyncGenerator[bytes, None]:
        """A process that has never reached Redis has nothing to begin with."""
        told = False
        while not (self.hub.ready or self.done):
            if self.hub.silence and not told:
                told = True
                yield frames.comment("Redis is away, waiting for it")
            if self.beat_due:
                yield self._beat()
            await self.wait(0.5)

    async def _begin(self) -> AsyncGenerator[bytes, None]:
        """``hello``, then what the client asked for, up to the moment from which its feed goes on."""
        resume = self._resume
        yield notices.hello(
            self.hub.heads if resume is None else resume,
            self.filter,
            retention=self.hub.retention,
            resumed=resume is not None,
        )
        if resume is None:
            before = replay.newest(self, self._last)
        else:
            self.since = resume
            before = replay.missed(self)
        async for chunk in before:
            yield chunk
        if not self.done:
            yield notices.live(self.since)
            if self.hub.is_silent:
                yield notices.source(self.hub.silence)

    def _beat(self) -> bytes:
        """A heartbeat. A client that is not behind learns with it how far it has read."""
        self.beat_due = False
        if self.at != self.feed.end or self.since == self.hub.heads:
            return frames.BEAT
        self.since = self.hub.heads
        return frames.BEAT + notices.position(self.since)
