"""The end of one partition's log -> the hub, entry by entry, for ever.

It reads with ``XREAD BLOCK`` from the position that it has reached, with the epoch beside, on a connection of its own.
Redis may be away when it begins, or go away at any time; it tries again with pauses that double and carry a jitter.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from redis.exceptions import RedisError, ResponseError

from messaging import connection, keys, log
from messaging.frames import Place
from messaging.live.link import Link, Replies
from messaging.log import Entry, Position

if TYPE_CHECKING:
    from messaging.live.hub import Hub

T = TypeVar("T")

logger = logging.getLogger("messaging.live")

BLOCK_MS = 5000
LATE_SECONDS = BLOCK_MS / 1000 + 2  # without an answer; the streams are told
SILENCE_SECONDS = 10.0  # Redis answers each BLOCK_MS at least; after this its connection counts as dead
MOST_ENTRIES = 1000  # of one read
READ_BYTES = 2 * 1024 * 1024  # of one read, by the size of what was read before
UNWATCHED_SECONDS = 0.025  # between two reads while nobody has a stream open
PRELOAD_BYTES = 8 * 1024 * 1024  # taken from the end of the log before the first client comes
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0


class Reader:
    """Reads one partition; ``place`` is how far."""

    def __init__(self, hub: Hub, partition: int) -> None:
        self.place = Place("", *log.START)
        self.failure = ""  # why Redis is being waited for
        self.heard = asyncio.get_running_loop().time()  # when Redis last answered
        self._on_entry = False  # is that the place of an entry, or one where nothing ever stood?
        self._hub = hub
        self._partition = partition
        self._name = keys.log(partition)
        self._begun = False
        self._count = 100

    async def run(self) -> None:
        """Until cancelled."""
        pause = FIRST_PAUSE
        while True:
            link = None
            try:
                link = await Link.open()
                await self._begin(link)
                self._succeeded()
                pause = FIRST_PAUSE
                while True:
                    self.heard = link.heard
                    if await self._follow(link):
                        await self._look(link)
                    else:
                        await self._lost_track(link)
            except (RedisError, OSError, TimeoutError) as error:
                self._failed(str(error) or type(error).__name__)
            except Exception as error:
                logger.exception("the live reader goes on after an unexpected error")
                self._failed(repr(error))
            finally:
                if link is not None:
                    await link.close()
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 (jitter)
            pause = min(pause * 2, LONGEST_PAUSE)

    # -- following the log ----------------------------------------------------------------------------------------

    async def _follow(self, link: Link) -> bool:
        """Hand on entries as they come. Returns when there was none for a while, or when the log is another one; false
        if some may have been trimmed before they were read."""
        loop = asyncio.get_running_loop()
        pause: asyncio.Future[bool] = loop.create_future()
        self._read(link, pause)
        try:
            while not pause.done():
                await asyncio.wait({pause}, timeout=SILENCE_SECONDS / 2)
                if not pause.done() and loop.time() - link.heard > SILENCE_SECONDS:
                    raise TimeoutError(f"no word for {SILENCE_SECONDS:.0f} s")
            return pause.result()
        finally:
            pause.cancel()

    def _read_next(self, link: Link, pause: asyncio.Future[bool]) -> None:
        """Ask for what comes next: when the streams have written what came, which takes a turn of the loop to wake
        them and one to write. With no stream open not so soon: nobody waits, and a wake-up takes time from requests."""
        loop = asyncio.get_running_loop()
        if self._hub.streams:
            loop.call_soon(loop.call_soon, self._read, link, pause)
        else:
            loop.call_later(UNWATCHED_SECONDS, self._read, link, pause)

    def _read(self, link: Link, pause: asyncio.Future[bool]) -> None:
        if pause.done():
            return
        at = _text(self.place)
        link.send(
            (
                ("XREAD", "COUNT", self._count, "BLOCK", BLOCK_MS, "STREAMS", self._name, at),
                ("XRANGE", self._name, at, at),
                ("GET", keys.epoch(self._partition)),
            ),
            partial(self._arrived, link, pause),
            pause.set_exception,
        )

    def _arrived(self, link: Link, pause: asyncio.Future[bool], replies: Replies) -> None:
        """Replies of one read. This runs for each message, with no task in between.

        The log is trimmed from its old end: if the entry where we stand is still there, none behind it was missed.
        """
        try:
            for reply in replies:
                if isinstance(reply, ResponseError):
                    raise reply
            reply, here, epoch = replies
            if not reply or (epoch and epoch.decode() != self.place.epoch):
                pause.set_result(True)
            elif self._on_entry and not here:
                pause.set_result(False)
            else:
                entries = self._entries(reply[0][1])
                try:
                    self._hub.take(self._partition, entries, self.place.epoch)
                finally:  # what waits for a message waits for nothing else; but none is taken twice
                    self._move(entries[-1].position)
                self._adapt(entries)
                self._read_next(link, pause)
            self.heard = asyncio.get_running_loop().time()
        except Exception as error:
            pause.set_exception(error)

    def _move(self, position: Position) -> None:
        self.place, self._on_entry = Place(self.place.epoch, *position), True

    # -- looking whether it is still the same log -----------------------------------------------------------------

    async def _begin(self, link: Link) -> None:
        """Right after connecting: where to begin, or whether to go on from where the last connection ended."""
        if not self._begun:
            epoch, (entries, last) = await self._of_one_log(link, self._newest)
            self._load(epoch, entries, last)
            self._begun = True
            return
        last = await self._look(link)
        if last != self.place[1:]:
            (same,) = await link.ask(("XRANGE", self._name, _text(self.place), _text(self.place)))
            if self._on_entry and not same:
                await self._lost_track(link)

    async def _look(self, link: Link) -> Position:
        """Notice a log that was born anew, or that has lost its end; its last position."""
        epoch, last = await self._of_one_log(link, self._last)
        if last is None:
            epoch, last = "", log.START
        known = self.place
        if epoch == known.epoch:
            if last < known[1:]:  # what comes next may have a position that we are past
                self._reborn(Place(epoch, *last))
        elif known == Place("", *log.START):  # its first event ever
            self.place = Place(epoch, *log.START)
        else:
            entries, _ = await self._newest(link)
            self._reborn(Place(epoch, *entries[0].position).before() if entries else Place(epoch, *log.START))
        return last

    async def _lost_track(self, link: Link) -> None:
        """Trimmed before we read it; clients look in the table for what they miss."""
        self._hub.lost_track(self._partition)
        self._load(self.place.epoch, *await self._newest(link))

    def _reborn(self, start: Place) -> None:
        logger.warning(
            "partition %d: the log was born anew or has lost its end, streams go on from %s after %s",
            self._partition, start, self.place,
        )  # fmt: skip
        self.place, self._on_entry = start, False
        self._hub.reborn(self._partition, start)

    def _load(self, epoch: str, entries: Sequence[Entry], last: Position) -> None:
        """Begin at the end of the log, with the newest entries before it, so that clients find them in memory."""
        start = Place(epoch, *entries[0].position).before() if entries else Place(epoch, *last)
        self._hub.begin(self._partition, start)
        self.place, self._on_entry = start, False
        if entries:
            self._move(entries[-1].position)
        self._hub.take(self._partition, entries, epoch)

    # -- single questions -----------------------------------------------------------------------------------------

    async def _of_one_log(self, link: Link, question: Callable[[Link], Awaitable[T]]) -> tuple[str, T]:
        """The epoch of the log and an answer of the same: it may be born, or born anew, between two questions."""
        while True:
            epoch = await self._epoch(link)
            answer = await question(link)
            if await self._epoch(link) == epoch:
                return epoch, answer

    async def _epoch(self, link: Link) -> str:
        (epoch,) = await link.ask(("GET", keys.epoch(self._partition)))
        if isinstance(epoch, ResponseError):
            raise epoch
        return (epoch or b"").decode()

    async def _last(self, link: Link) -> Position | None:
        """The last position that the log gave, ``None`` without a log."""
        (info,) = await link.ask(("XINFO", "STREAM", self._name))
        if isinstance(info, ResponseError):
            if "no such key" in str(info):
                return None
            raise info
        return Position.parse(dict(zip(info[::2], info[1::2], strict=True))[b"last-generated-id"])

    async def _newest(self, link: Link) -> tuple[list[Entry], Position]:
        """The newest entries, oldest first, as many as the ring takes, or about 8 MiB; and the log's last position."""
        last = await self._last(link)
        if last is None:
            return [], log.START
        found: list[Entry] = []
        size, upto = 0, str(last)
        while len(found) < self._hub.ring.size and size < PRELOAD_BYTES:
            (reply,) = await link.ask(("XREVRANGE", self._name, upto, "-", "COUNT", 100))
            page = self._entries(reply)
            found += page
            size += sum(len(entry.raw) for entry in page)
            if len(page) < 100:
                break
            upto = f"({page[-1].position}"
        found.reverse()
        return found, last

    def _entries(self, reply: Sequence[tuple[bytes, Any]]) -> list[Entry]:
        return log.entries_of(self._partition, reply)

    def _adapt(self, entries: Sequence[Entry]) -> None:
        average = sum(len(entry.raw) for entry in entries) // len(entries) + 1
        self._count = max(1, min(MOST_ENTRIES, READ_BYTES // average, self._count * 4))

    # -- what is said of it ---------------------------------------------------------------------------------------

    def _failed(self, reason: str) -> None:
        if not self.failure:
            logger.warning("live streams wait, Redis at %s is away: %s", connection.where(), reason)
        self.failure = reason

    def _succeeded(self) -> None:
        if self.failure:
            logger.warning("live streams go on, Redis at %s answers again", connection.where())
        self.failure = ""


def _text(place: Place) -> str:
    return f"{place.ms}-{place.seq}"


def silence_of(readers: Sequence[Reader]) -> float:
    """Seconds since Redis has answered all of them, 0.0 while it does."""
    now = asyncio.get_running_loop().time()
    silent = max((now - reader.heard for reader in readers), default=0.0)
    return silent if silent > LATE_SECONDS or any(reader.failure for reader in readers) else 0.0
