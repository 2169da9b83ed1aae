"""A script's name -> its text, its digest, and typed functions that call it. One script a file in ``lua/``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha1
from importlib.resources import files
from itertools import count
from typing import Any

import redis
from redis.exceptions import NoScriptError

from messaging import keys
from messaging.conf import conf


class Script:
    """One Lua script: called by its digest, sent whole only when the server does not know it yet."""

    def __init__(self, name: str) -> None:
        self.text = files("messaging").joinpath(f"lua/{name}.lua").read_bytes()
        self.sha = sha1(self.text, usedforsecurity=False).hexdigest().encode()  # what EVALSHA asks for

    def run(self, client: redis.Redis, names: Sequence[str], *args: bytes | str | int | float) -> Any:
        """Call it; raises what redis-py raises."""
        try:
            return client.execute_command("EVALSHA", self.sha, len(names), *names, *args)
        except NoScriptError:
            return client.execute_command("EVAL", self.text, len(names), *names, *args)

    def packed(self, names: Sequence[str], *, arguments: int, whole: bool) -> bytes:
        """The start of the call in the Redis protocol, up to its ARGV: ``arguments`` of them have to follow."""
        head = (b"EVAL", self.text) if whole else (b"EVALSHA", self.sha)
        items = (*head, str(len(names)).encode(), *(name.encode() for name in names))
        return b"*%d\r\n" % (len(items) + arguments) + bulk(*items)


def bulk(*items: bytes) -> bytes:
    """Items -> bulk strings of the Redis protocol (https://redis.io/docs/latest/develop/reference/protocol-spec/)."""
    return b"".join([b"$%d\r\n%b\r\n" % (len(item), item) for item in items])


append_script = Script("append")
_record = Script("record")
_peek = Script("peek")
_move = Script("move")
_trim = Script("trim")
_renumber = Script("renumber")
_advance = Script("advance")
_take = Script("take")
_lease = Script("lease")
_fence = Script("fence")
_release = Script("release")


def newborn() -> bytes:
    """An epoch for a stream that is born by the next call: 16 hexadecimal digits that no other call has had."""
    return b"%016x" % (next(_births) % 2**64)


def _count_births() -> None:
    """From a random number on, which a fork does not share: each publish takes an epoch, and hardly any is used."""
    global _births
    _births = count(int.from_bytes(os.urandom(8)))


_births = count()
_count_births()
os.register_at_fork(after_in_child=_count_births)


@lru_cache(maxsize=64)
def _append_frame(namespace: str, most: int, partition: int, events: int, whole: bool) -> tuple[bytes, bytes]:
    """What stands in an append call before and behind its newborn epoch, and is the same each time."""
    names = (keys.log(partition), keys.epoch(partition))  # in the namespace
    start = append_script.packed(names, arguments=3 + 2 * events, whole=whole)
    return start + bulk(str(most).encode()) + b"$16\r\n", b"\r\n" + bulk(str(partition).encode())


def pack_append(partition: int, events: Sequence[tuple[bytes, bytes]], *, whole: bool = False) -> bytes:
    """(Pub/Sub channel, event) pairs of one partition -> the append call, ready for the socket.

    Packed by hand, since redis-py's way through its client costs more than everything else publish() does.
    """
    before, behind = _append_frame(conf.NAMESPACE, conf.MAX_LOG_ENTRIES, partition, len(events), whole)
    parts = [before, newborn(), behind]
    for channel, body in events:
        parts.append(b"$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(channel), channel, len(body), body))
    return b"".join(parts)


def record(client: redis.Redis, partition: int, bodies: Sequence[bytes], *, token: int = 0) -> int:
    """Append without publishing; how many found room, -1 if a listener with a higher token has taken over."""
    names = (keys.log(partition), keys.epoch(partition), keys.fence(partition))
    return int(_record.run(client, names, conf.MAX_LOG_ENTRIES, newborn(), token, *bodies))


def peek(client: redis.Redis, name: str, *, most: int, most_bytes: int) -> list[bytes]:
    """Up to ``most`` items from the right end of a list, the rightmost first; one at least, however large."""
    return list(_peek.run(client, (name,), most, most_bytes))


def move(
    client: redis.Redis, name: str, partition: int, items: Iterable[tuple[bytes, bytes]], *, token: int = 0
) -> int:
    """(bytes at the right end, event) pairs -> how many were moved from the list to the log, -1 as for record."""
    flat = [part for item in items for part in item]
    names = (name, keys.log(partition), keys.epoch(partition), keys.fence(partition))
    return int(_move.run(client, names, conf.MAX_LOG_ENTRIES, newborn(), token, *flat))


def trim(
    client: redis.Redis, partition: int, *, keep: int, position: str, crowded: int, seconds: float = 0.0
) -> int:
    """Drop entries up to ``position`` beyond the newest ``keep`` or older than ``seconds`` (0: of any age), and all of
    them if more than ``crowded`` are there and the reader is far behind; how many were dropped."""
    return int(_trim.run(client, (keys.log(partition),), keep, position, crowded, int(seconds * 1000)))


def renumber(client: redis.Redis, partition: int, *, first: str, keep: int) -> int:
    """New positions for the entries from ``first`` on; how many. Of those before it ``keep`` stay."""
    return int(_renumber.run(client, (keys.log(partition),), first, keep))


def advance(client: redis.Redis, schedule: str, tick_ms: int, *, instead_of: int | None = None) -> bool:
    """Note a schedule's latest tick; was it? With ``instead_of`` also an earlier one than that, if that is noted."""
    given_up = "" if instead_of is None else instead_of
    return bool(_advance.run(client, (keys.ticks(),), schedule, tick_ms, given_up))


def take(client: redis.Redis, name: str, ids: Sequence[str], *, most_bytes: int) -> dict[str, bytes]:
    """Up to one item for each id from the right end of a list, by id: those that an earlier call has left, if any."""
    flat = _take.run(client, (name, keys.taken(name)), most_bytes, *ids)
    return {key.decode(): item for key, item in zip(flat[::2], flat[1::2], strict=True)}


def take_lease(client: redis.Redis, owner: str, *, seconds: float) -> tuple[str, int]:
    """Take or renew the listener's lease; who is in charge now, and the token that goes with it."""
    holder, token = _lease.run(client, (keys.lease(), keys.tokens()), owner, int(seconds * 1000))
    return bytes(holder).decode(), int(token)


def take_partition(client: redis.Redis, partition: int, token: int) -> bool:
    """Refuse from here on what listeners with lower tokens capture; is ours the highest?"""
    return bool(_fence.run(client, (keys.fence(partition),), token))


def release_lease(client: redis.Redis, owner: str) -> bool:
    """Give the lease back, and the heartbeat with it; was it ours?"""
    return bool(_release.run(client, (keys.lease(), keys.heartbeat()), owner))
