"""A position -> the entries behind it, and whether the log still is the one it belongs to: one round trip."""

from __future__ import annotations

import re
from typing import NamedTuple

import redis

from messaging import keys, log
from messaging.log import LARGEST_STORED, Entry, Position


class OutOfReach(ValueError):
    """The next entry has a position that no column holds: ``position``."""

    def __init__(self, position: Position) -> None:
        super().__init__(
            f"the log has an entry at {position}, and no table takes a number above {LARGEST_STORED}"
        )
        self.position = position


class Reading(NamedTuple):
    """What one look at the log saw."""

    entries: list[Entry]
    epoch: str
    run_id: str
    found: bool  # the entry at the position


def read(client: redis.Redis, partition: int, after: Position, *, count: int, block_ms: int) -> Reading:
    """Up to ``count`` entries behind a position; waits up to ``block_ms`` for one. Raises what redis-py raises, and
    :class:`OutOfReach`."""
    name, at = keys.log(partition), str(after)
    pipe = client.pipeline(transaction=False)
    # Replies as they come: to shape them takes redis-py 1 us an entry, and 200 us for INFO.
    pipe.response_callbacks = {}  # type: ignore[assignment]
    pipe.execute_command("XREAD", "COUNT", count, "BLOCK", block_ms, "STREAMS", name, at)
    pipe.execute_command("XRANGE", name, at, at)
    pipe.get(keys.epoch(partition))
    pipe.execute_command("INFO", "server")
    streams, found, epoch, info = pipe.execute(raise_on_error=False)
    for reply in (streams, found, epoch):
        if isinstance(reply, Exception):
            raise reply
    return Reading(
        _within_reach(log.entries_of(partition, log.stream_of(streams))),
        (epoch or b"").decode(),
        _run_id(info),
        bool(found) or after == log.START,
    )


def _within_reach(entries: list[Entry]) -> list[Entry]:
    for number, entry in enumerate(entries):
        if entry.position.ms > LARGEST_STORED or entry.position.seq > LARGEST_STORED:
            if number == 0:
                raise OutOfReach(entry.position)
            return entries[:number]
    return entries


def _run_id(info: object) -> str:
    """INFO's reply -> the run id in it; "" if the server does not tell this user (ACL)."""
    found = re.search(rb"^run_id:([0-9a-f]+)", info, re.MULTILINE) if isinstance(info, bytes) else None
    return found[1].decode() if found else ""
