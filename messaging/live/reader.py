"""The end of one partition's log -> the hub, entry by entry, for ever.

It reads with ``XREAD BLOCK`` from the position that it has reached, with the epoch beside, on a connection of its own.
Redis may be away when it begins, or go away at any time; it tries again with pauses that double and carry a jitter.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import redis.asyncio as aioredis
from redis.exceptions import RedisError, ResponseError

from messaging import connection, keys, log
from messaging.frames import Place
from messaging.log import Entry, Position

if TYPE_CHECKING:
    from messaging.live.hub import Hub

logger = logging.getLogger("messaging.live")

BLOCK_MS = 5000
MOST_ENTRIES = 1000  # of one read
READ_BYTES = 2 * 1024 * 1024  # of one read, by the size of what was read before
PRELOAD = 1000  # entries taken from the end of the log before the first client comes
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0


class Reader:
    """Reads one partition; ``place`` is how far."""

    def __init__(self, hub: Hub, partition: int) -> None:
        self.place = Place("", *log.START)
        self._begun = False
        self._hub = hub
        self._partition = partition
        self._client: aioredis.Redis | None = None
        self._conn: Any = None
        self._count = 100
        self._failure = ""

    async def run(self) -> None:
        """Until cancelled."""
        pause = FIRST_PAUSE
        try:
            while True:
                try:
                    await self._begin()
                    self._succeeded()
                    pause = FIRST_PAUSE
                    while True:
                        await self._step()
                except (RedisError, OSError, TimeoutError) as error:
                    self._failed(str(error) or type(error).__name__)
                except Exception as error:
                    logger.exception("the live reader goes on after an unexpected error")
                    self._failed(repr(error))
                await self._disconnect()
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 (jitter)
                pause = min(pause * 2, LONGEST_PAUSE)
        finally:
            await self._disconnect()

    @property
    def away(self) -> bool:
        """Is Redis being waited for?"""
        return bool(self._failure)

    # -- one connection -------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Connect, and find out whether the log is still the one that was read before."""
        self._client = connection.async_client(timeout=BLOCK_MS / 1000 + 5)
        self._conn = self._client.connection_pool.make_connection()
        await self._conn.connect()
        name = keys.log(self._partition)
        epoch, info = await self._ask(("GET", keys.epoch(self._partition)), ("XINFO", "STREAM", name))
        known = self.place
        if not self._begun:
            await self._load((epoch or b"").decode())
        elif epoch and epoch.decode() != known.epoch:
            await self._changed(epoch.decode())
        elif isinstance(info, list):
            last = Position.parse(dict(zip(info[::2], info[1::2], strict=True))[b"last-generated-id"])
            if last < known[1:]:  # it has lost its end: what comes next may have a position that we are past
                self._reborn(Place(known.epoch, *last))
            elif last != known[1:]:
                (same,) = await self._ask(("XRANGE", name, _text(known), _text(known)))
                if (
                    not same
                ):  # trimmed while we were away; clients find what they miss in the table, or hear of a gap
                    self._hub.lost_track(self._partition)
                    await self._load(known.epoch)

    async def _step(self) -> None:
        """Wait for entries and hand them on."""
        read = ("XREAD", "COUNT", self._count, "BLOCK", BLOCK_MS, "STREAMS", keys.log(self._partition))
        reply, epoch = await self._ask((*read, _text(self.place)), ("GET", keys.epoch(self._partition)))
        if isinstance(reply, ResponseError):
            raise reply
        if epoch and epoch.decode() != self.place.epoch:
            await self._changed(epoch.decode())
            return
        entries = self._entries(log.stream_of(reply))
        if entries:
            self._adapt(entries)
            self.place = Place(self.place.epoch, *entries[-1].position)
            self._hub.take(self._partition, entries, self.place.epoch)

    async def _changed(self, epoch: str) -> None:
        """Another epoch: the log's first event ever, or a log that was born anew."""
        if self.place == Place("", *log.START):
            self.place = Place(epoch, *log.START)
            return
        entries, _ = await self._newest()
        start = Place(epoch, *entries[0].position).before() if entries else Place(epoch, *log.START)
        self._reborn(start)

    def _reborn(self, start: Place) -> None:
        logger.warning(
            "partition %d: the log was born anew or has lost its end, streams go on from %s after %s",
            self._partition, start, self.place,
        )  # fmt: skip
        self.place = start
        self._hub.reborn(self._partition, start)

    async def _load(self, epoch: str) -> None:
        """Begin at the end of the log, with the newest entries before it, so that clients find them in memory."""
        entries, last = await self._newest()
        start = Place(epoch, *entries[0].position).before() if entries else Place(epoch, *last)
        self._hub.begin(self._partition, start)
        self.place = Place(epoch, *(entries[-1].position if entries else last))
        self._hub.take(self._partition, entries, epoch)
        self._begun = True

    async def _newest(self) -> tuple[Sequence[Entry], Position]:
        """The newest entries, oldest first, at most ``READ_BYTES`` or so of them; and the log's last position."""
        name = keys.log(self._partition)
        (info,) = await self._ask(("XINFO", "STREAM", name))
        if not isinstance(info, list):
            return [], log.START
        last = Position.parse(dict(zip(info[::2], info[1::2], strict=True))[b"last-generated-id"])
        found: list[Entry] = []
        size, upto = 0, str(last)
        while len(found) < PRELOAD and size < READ_BYTES:
            (reply,) = await self._ask(("XREVRANGE", name, upto, "-", "COUNT", 100))
            page = self._entries(reply)
            found += page
            size += sum(len(entry.raw) for entry in page)
            if len(page) < 100:
                break
            upto = f"({page[-1].position}"
        found.reverse()
        return found, last

    def _entries(self, reply: Sequence[tuple[bytes, Any]]) -> list[Entry]:
        return log.entries_of(
            self._partition,
            [(at, dict(zip(fields[::2], fields[1::2], strict=True))) for at, fields in reply],
        )

    def _adapt(self, entries: Sequence[Entry]) -> None:
        average = sum(len(entry.raw) for entry in entries) // len(entries) + 1
        self._count = max(1, min(MOST_ENTRIES, READ_BYTES // average, self._count * 4))

    # -- the connection -------------------------------------------------------------------------------------------

    async def _ask(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Commands in one write -> their replies; an error reply is returned, not raised."""
        conn = self._conn
        await conn.send_packed_command(conn.pack_commands(commands), check_health=False)
        replies: list[Any] = []
        for _ in commands:
            try:
                replies.append(await conn.read_response())
            except ResponseError as error:
                replies.append(error)
        return replies

    async def _disconnect(self) -> None:
        conn, self._conn = self._conn, None
        client, self._client = self._client, None
        with suppress(Exception):
            if conn is not None:
                await conn.disconnect(nowait=True)
            if client is not None:
                await client.aclose()

    def _failed(self, reason: str) -> None:
        if not self._failure:
            logger.warning("live streams wait, Redis at %s is away: %s", connection.where(), reason)
        self._failure = reason

    def _succeeded(self) -> None:
        if self._failure:
            logger.warning("live streams go on, Redis at %s answers again", connection.where())
        self._failure = ""


def _text(place: Place) -> str:
    return f"{place.ms}-{place.seq}"
