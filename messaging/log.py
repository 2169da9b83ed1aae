"""The log: one Redis Stream per partition. Events go in at its end; readers take entries from their own position."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import redis
from redis.exceptions import NoScriptError, ResponseError

from messaging import keys, scripts, wire
from messaging.conf import conf
from messaging.decoder import NotAnEvent, decode
from messaging.errors import shown
from messaging.event import Event

logger = logging.getLogger("messaging.publish")

refused_publishes = 0  # of this process, since it started

MOST_PARTITIONS = 64  # that are looked for when their number was lowered
CHUNK_EVENTS = 500  # one call of the append script: about 3 ms of the server's time
CHUNK_BYTES = 4 * 1024 * 1024


class Position(NamedTuple):
    """A stream id. Positions of one partition compare as the log does."""

    ms: int
    seq: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.seq}"

    @classmethod
    def parse(cls, text: str | bytes) -> Position:
        """``"1763765275123-0"`` -> Position; ``ValueError`` for anything else."""
        if isinstance(text, bytes):
            text = text.decode("ascii")
        ms, dash, seq = text.partition("-")
        if not (dash and ms.isdecimal() and seq.isdecimal() and len(ms) <= 20 and len(seq) <= 20):
            raise ValueError(f"not a position of the log: {shown(text)}")
        return cls(int(ms), int(seq))


_tuple = tuple.__new__  # makes a Position in a third of the time that Position() takes

START = Position(0, 0)
# What a column holds of either number; a stream takes up to 2**64 - 1 from whoever gives an id by hand.
LARGEST_STORED = 2**63 - 1


class Entry(msgspec.Struct, frozen=True, gc=False):
    """What stands at one position. ``body`` is the event's JSON, or ``None`` in an entry that is not ours."""

    partition: int
    position: Position
    body: bytes | None
    fields: Sequence[bytes]

    @property
    def location(self) -> str:
        ms, seq = self.position
        return f"{self.partition}.{ms}-{seq}"

    @property
    def raw(self) -> bytes:
        """All bytes of an entry, for the quarantine."""
        return self.body if self.body is not None else b" ".join(self.fields)

    def event(self) -> Event:
        """The entry as an event; :class:`~messaging.decoder.NotAnEvent` if it is none."""
        if self.body is None:
            raise NotAnEvent(f"the entry has no field 'e': {shown(b' '.join(self.fields))}")
        return decode(self.body, location=self.location)


class Bounds(NamedTuple):
    """What a partition holds at one moment."""

    epoch: str  # "" before the first event
    entries: int
    first: Position | None  # of the oldest entry still there
    last: Position  # last generated: START before the first event
    added: int = 0  # entries in all its life


# -- writing ------------------------------------------------------------------------------------------------------


def chunks(events: Sequence[tuple[bytes, bytes]]) -> Iterator[Sequence[tuple[bytes, bytes]]]:
    """(channel, body) pairs -> runs that one call of the append script takes."""
    start, size = 0, 0
    for at, (_, body) in enumerate(events):
        if at > start and (at - start >= CHUNK_EVENTS or size + len(body) > CHUNK_BYTES):
            yield events[start:at]
            start, size = at, 0
        size += len(body)
    if start < len(events):
        yield events[start:]


def append(partition: int, events: Sequence[tuple[bytes, bytes]]) -> list[str]:
    """(Pub/Sub channel, event) pairs -> their positions. All or none; at most one chunk (see :func:`chunks`).

    Raises a :class:`~messaging.errors.BrokerError`.
    """
    reply = wire.call(scripts.pack_append(partition, events))
    if isinstance(reply, NoScriptError):
        reply = wire.call(scripts.pack_append(partition, events, whole=True))
    return _positions(reply)


async def aappend(partition: int, events: Sequence[tuple[bytes, bytes]]) -> list[str]:
    """:func:`append` for the running event loop."""
    reply = await wire.acall(scripts.pack_append(partition, events))
    if isinstance(reply, NoScriptError):
        reply = await wire.acall(scripts.pack_append(partition, events, whole=True))
    return _positions(reply)


def _positions(reply: Any) -> list[str]:
    wire.raise_for(reply)
    refused, *positions = reply
    if refused:
        _refused_by_acl(refused)
    return [position.decode() for position in positions]


def _refused_by_acl(count: int) -> None:
    """A PUBLISH that Redis refused: the log has the message, subscribers outside have not."""
    global refused_publishes
    if not refused_publishes:
        logger.warning(
            "Redis refuses PUBLISH to this user (ACL): messages reach the log, but no Pub/Sub subscriber"
        )
    refused_publishes += count


# -- reading ------------------------------------------------------------------------------------------------------


def read(client: redis.Redis, partition: int, after: Position, *, count: int) -> list[Entry]:
    """Up to ``count`` entries behind a position, oldest first; does not wait for any."""
    reply = client.execute_command("XREAD", "COUNT", count, "STREAMS", keys.log(partition), str(after))
    return entries_of(partition, stream_of(reply))


def stream_of(reply: Any) -> Sequence[tuple[bytes, Sequence[bytes] | None]]:
    """The entries in XREAD's reply for one stream, as redis-py shapes it."""
    if not reply:
        return ()
    if isinstance(reply, dict):
        (reply,) = reply.values()
        return reply[0] if len(reply) == 1 and isinstance(reply[0], list) else reply
    return reply[0][1]  # type: ignore[no-any-return]


def entries_of(partition: int, reply: Sequence[tuple[bytes, Any]]) -> list[Entry]:
    """A reply of XREAD, XRANGE or XREVRANGE for one stream, as Redis or as redis-py shapes it -> entries."""
    entries = []
    for position, fields in reply:
        ms, _, seq = position.partition(b"-")
        if isinstance(fields, dict):
            fields = [part for pair in fields.items() for part in pair]
        if len(fields) == 2 and fields[0] == b"e":
            body = fields[1]
        else:
            body = dict(zip(fields[::2], fields[1::2], strict=True)).get(b"e")
        entries.append(
            Entry(partition, _tuple(Position, (int(ms), int(seq))), body, () if body is not None else fields)
        )
    return entries


def between(
    client: redis.Redis, partition: int, first: Position, last: Position | None, *, count: int
) -> list[Entry]:
    """Up to ``count`` entries from ``first`` to ``last`` (both included), oldest first."""
    reply = client.execute_command(
        "XRANGE", keys.log(partition), str(first), "+" if last is None else str(last), "COUNT", count
    )
    return entries_of(partition, reply)


def newest(client: redis.Redis, partition: int, *, count: int, before: Position | None = None) -> list[Entry]:
    """Up to ``count`` entries, newest first, from just before a position or from the end."""
    last = "+" if before is None else f"({before}"
    reply = client.execute_command("XREVRANGE", keys.log(partition), last, "-", "COUNT", count)
    return entries_of(partition, reply)


def bounds(client: redis.Redis, partition: int) -> Bounds:
    """Epoch, size and ends of a partition in one step. A stream that was deleted is as good as not born."""
    pipe = client.pipeline(transaction=True)
    pipe.get(keys.epoch(partition))
    pipe.xinfo_stream(keys.log(partition))
    epoch, info = pipe.execute(raise_on_error=False)
    if isinstance(info, ResponseError) and "no such key" in str(info):
        return Bounds("", 0, None, START)
    for reply in (epoch, info):
        if isinstance(reply, Exception):
            raise reply
    first = info["first-entry"]
    return Bounds(
        "" if epoch is None else epoch.decode(),
        info["length"],
        None if first is None else Position.parse(first[0]),
        Position.parse(info["last-generated-id"]),
        info["entries-added"],
    )


def partitions() -> range:
    """All partitions that are written to."""
    return range(conf.PARTITIONS)


def partitions_to_drain(client: redis.Redis) -> list[int]:
    """All partitions, and those left from a time when there were more: what is in them still has to be stored."""
    beyond = range(conf.PARTITIONS, max(conf.PARTITIONS, MOST_PARTITIONS))
    pipe = client.pipeline(transaction=False)
    for each in beyond:
        pipe.exists(keys.log(each))
    return [*partitions(), *(each for each, there in zip(beyond, pipe.execute(), strict=True) if there)]
