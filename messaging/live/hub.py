"""Entries -> frames, each made once -> the feeds of all streams of this process; and when they may be sent.

One hub for each event loop. Everything in it happens on that loop, so that between two awaits nothing moves: a stream
that looks at the ring and joins its feed in one breath has neither a hole nor a message twice.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from messaging.conf import conf
from messaging.frames import Place, Where, format_id, named
from messaging.live import stopping
from messaging.live.access import Gate
from messaging.live.counters import counters
from messaging.live.feed import Feed, SightedFeed
from messaging.live.filters import Filter
from messaging.live.history import items_of
from messaging.live.losses import Losses
from messaging.live.pages import Gap
from messaging.live.reader import Reader, silence_of
from messaging.live.ring import Item, Ring, renumbered
from messaging.live.threads import Threads
from messaging.live.ticker import tick_for_ever
from messaging.log import Entry

if TYPE_CHECKING:
    from messaging.live.stream import Stream

logger = logging.getLogger("messaging.live")

MOST_ROUTES = 10_000  # channels whose feeds are remembered
SHORTEST_PAUSE, LONGEST_PAUSE = 0.001, 0.1  # seconds between two flushes; shorter than the first is none

_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


class Hub:
    """What all streams of a process share."""

    def __init__(self) -> None:
        self.ring = Ring(conf.LIVE_RING)
        self.heads: Where = ()  # how far the readers are; empty until each has begun
        self.streams: set[Stream] = set()
        self.stopping = False
        self.is_silent = False  # Redis, as far as the streams have been told
        self.readers = Threads("history", rest=True)
        self.gate = Gate()
        self.losses = Losses(self)
        self.retention: dict[str, int | None] = {
            "entries": 0,
            "oldest": None,
            "cap": conf.REPLAY_ENTRIES * conf.PARTITIONS,
        }
        self._feeds: dict[Filter, Feed] = {}
        self._routes: dict[str | None, list[Feed]] = {}
        self._dirty: set[Feed] = set()
        self._begun: dict[int, Place] = {}
        self._early: list[tuple[int, Sequence[Entry], str]] = []
        self._pausing = False
        self._tasks: list[asyncio.Task[None]] = []
        self._undo: stopping.Undo = lambda: None
        self._tails: list[Reader] = []

    # -- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start readers and ticker, unless they run, and listen for the signal that stops the server."""
        if self._tasks or self.stopping:
            return
        self._undo = stopping.on_signal(asyncio.get_running_loop(), self.stop)
        self._tails = [Reader(self, partition) for partition in range(conf.PARTITIONS)]
        steps = [reader.run() for reader in self._tails]
        self._tasks = [asyncio.create_task(step) for step in (*steps, tick_for_ever(self))]

    @property
    def ready(self) -> bool:
        """Has every partition been read once?"""
        return bool(self.heads)

    @property
    def silence(self) -> float:
        """Seconds since Redis has answered all readers, 0.0 while it does."""
        return silence_of(self._tails)

    def stop(self) -> None:
        """End all streams with a word, and let no new one begin."""
        if not self.stopping:
            self.stopping = True
            logger.info("the live log ends %d streams", len(self.streams))
            for stream in list(self.streams):
                stream.end("shutdown")
            asyncio.get_running_loop().call_later(1.0, self._drop_all)

    def _drop_all(self) -> None:
        for stream in list(self.streams):
            stream.drop()

    async def close(self) -> None:
        """Stop, and wait until the readers have let go."""
        self.stop()
        self._undo()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.readers.close()
        self.gate.close()

    # -- streams --------------------------------------------------------------------------------------------------

    def enter(self, stream: Stream) -> Feed:
        """The stream is one of ours from now on; its feed."""
        self.start()
        feed = self._feeds.get(stream.filter)
        if feed is None:
            kind = Feed if stream.filter.sight is None else SightedFeed
            feed = self._feeds[stream.filter] = kind(stream.filter)
            self._routes.clear()
        feed.clients += 1
        self.streams.add(stream)
        self._count()
        return feed

    def leave(self, stream: Stream) -> None:
        """It is gone; a feed that nobody hears goes too."""
        if stream not in self.streams:
            return
        self.streams.discard(stream)
        if stream.seat is not None:
            stream.seat.free()
        feed = stream.feed
        feed.sleepers.discard(stream)
        feed.clients -= 1
        if not feed.clients:
            del self._feeds[feed.filter]
            self._dirty.discard(feed)
            self._routes.clear()
        self._count()

    def _count(self) -> None:
        counters.feeds = len(self._feeds)

    # -- what the readers say -------------------------------------------------------------------------------------

    def begin(self, partition: int, start: Place) -> None:
        """A partition is read from here on. Streams begin when that is true for all."""
        if self.heads:
            self.heads = _moved(self.heads, partition, start)
            self.ring.restart(self.heads)
            return
        self._begun[partition] = start
        if len(self._begun) == len(self._tails):
            self.heads = tuple(self._begun[at] for at in range(len(self._begun)))
            self.ring.restart(self.heads)
            early, self._early = self._early, []
            for arguments in early:
                self.take(*arguments)
            for stream in self.streams:
                stream.wake()

    def take(self, partition: int, entries: Sequence[Entry], epoch: str) -> None:
        """New entries of a partition: frame, keep, hand to the feeds that want them."""
        if not entries:
            return
        if not self.heads:
            self._early.append((partition, entries, epoch))
            return
        counters.entries += len(entries)
        items: Sequence[Item] = items_of(entries, epoch)
        if len(self.heads) > 1:
            items = list(renumbered(items, self.heads))
        self._spread(items)

    def reborn(self, partition: int, start: Place) -> None:
        """The log began anew: everybody hears of it, and reads on from its new start."""
        counters.reborn += 1
        if not self.heads:
            self._begun[partition] = start
            return
        to = _moved(self.heads, partition, start)
        gap = Gap(format_id(self.heads), to, "reborn")
        counters.gaps += len(self.streams)
        self._spread([Item.of(partition, to, None, named("gap", gap.facts()), everyone=True)])

    def tell(self, frame: bytes) -> None:
        """A frame without an id for everybody, at this place among the messages."""
        if self.heads:
            item = Item(0, self.heads, None, frame, everyone=True)
            for stream in self.streams:
                stream.tell(item)
            self._spread([item])

    def lost_track(self, partition: int) -> None:
        """The reader cannot go on where it was: each stream looks for itself what it has missed."""
        for stream in self.streams:
            stream.detach()
        logger.warning("partition %d was trimmed while Redis was away; streams look in the table", partition)

    def _spread(self, items: Sequence[Item]) -> None:
        ring, dirty = self.ring, self._dirty
        for item in items:
            route = self._routes.get(item.channel)
            if route is None or item.everyone:
                route = self._find_route(item)
            self.heads = item.where
            for feed in route:
                feed.add(item, ring.end)
                dirty.add(feed)
            ring.add(item)
        if not self._pausing:
            self._flush()

    def _find_route(self, item: Item) -> list[Feed]:
        feeds, channel = list(self._feeds.values()), item.channel
        if item.everyone:
            return feeds
        route = [feed for feed in feeds if feed.filter.takes(channel)]
        unsure = [feed for feed in feeds if feed.filter.unsure(channel)]
        if unsure:
            self._look_again(unsure)
            return route
        if len(self._routes) >= MOST_ROUTES:
            self._routes.clear()
        self._routes[channel] = route
        return route

    def forget_routes(self) -> None:
        """Rights may have changed."""
        self._routes.clear()

    def _look_again(self, feeds: Sequence[Feed]) -> None:
        """A channel is new to the rights of these feeds. Their streams ask, and take from the ring what is theirs."""
        for stream in self.streams:
            if stream.feed in feeds:
                stream.detach()
                stream.wake()

    # -- when to send ---------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        """Wake whoever waits for what has come, once, and measure what that costs."""
        if not self._dirty:
            return
        self._pausing = True
        now = time.monotonic()
        for feed in self._dirty:
            for stream in feed.flush():
                try:
                    stream.push(now)
                except Exception:  # one connection in whatever state must not cost the others what has come
                    logger.exception("a stream is dropped after an unexpected error")
                    stream.drop()
            feed.trim(self.ring.first)
        self._dirty.clear()
        # The streams run after this callback, their sockets are written after the next one.
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, partial(self._flushed, now))

    def _flushed(self, started: float) -> None:
        """The next flush waits as long as this one took: half of the time stays for everything else."""
        pause = min(time.monotonic() - started, LONGEST_PAUSE)
        if pause < SHORTEST_PAUSE:
            self._resume()
        else:
            asyncio.get_running_loop().call_later(pause, self._resume)

    def _resume(self) -> None:
        self._pausing = False
        self._flush()

    # -- for the ticker -------------------------------------------------------------------------------------------

    def trim_feeds(self) -> None:
        """Let go of what the ring has let go of, and of chunks that nobody asks for any more."""
        for feed in self._feeds.values():
            feed.trim(self.ring.first)
            feed.forget_chunks()


def _moved(where: Where, partition: int, place: Place) -> Where:
    return (*where[:partition], place, *where[partition + 1 :])


def hub() -> Hub:
    """The hub of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _hubs.get(loop)
    if found is None:
        found = _hubs[loop] = Hub()
    return found
