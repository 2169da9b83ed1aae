"""A position of the log -> the entries behind it as they come, and a word about each span that was lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import redis
from redis.exceptions import ResponseError

from messaging import keys, log
from messaging.log import START, Entry, Position

FIRST_COUNT = 50  # entries of the first read, before their size is known
COUNT = 500  # of each one after it, fewer when they are large
BATCH_BYTES = 4 * 1024 * 1024


class Lost(NamedTuple):
    """Entries that went before they were read."""

    partition: int
    reason: str  # "trimmed" (the log keeps so many), "reborn" (Redis lost its memory)
    missed: int | None  # None: nobody knows


class Follower:
    """Reads all partitions from a position on. Every method raises what redis-py raises, and can be called again
    then: nothing is passed over."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._at: dict[int, Position] = {}
        self._epoch: dict[int, str] = {}  # not there: not seen yet
        self._added: dict[
            int, int
        ] = {}  # entries that the log had got when it stood at our position, if known
        self._count = FIRST_COUNT

    def start_at(self, position: Position) -> None:
        """From behind this position, in every partition."""
        self._at = dict.fromkeys(log.partitions(), position)

    def start_at_end(self) -> None:
        """With the next entry."""
        self._at = {each: log.bounds(self._client, each).last for each in log.partitions()}

    def before(self) -> Iterator[Entry]:
        """The entries up to the start, newest first; of several partitions, newest of all first."""
        pages = {each: self._backwards(each, at) for each, at in self._at.items()}
        heads = {each: found for each, page in pages.items() if (found := next(page, None))}
        while heads:
            newest = max(heads, key=lambda each: heads[each].position)
            yield heads.pop(newest)
            if found := next(pages[newest], None):
                heads[newest] = found

    def _backwards(self, partition: int, end: Position) -> Iterator[Entry]:
        before = Position(end.ms, end.seq + 1)
        while page := log.newest(self._client, partition, count=200, before=before):
            yield from page
            before = page[-1].position

    def read(self) -> list[Entry | Lost]:
        """What has come since the last call, in the order of the log; empty at its end."""
        found: list[Entry | Lost] = []
        for partition in self._at:
            found += self._read(partition)
        if len(self._at) > 1:
            found.sort(key=lambda each: START if isinstance(each, Lost) else each.position)
        return found

    def wait(self, *, block_ms: int) -> None:
        """Until there is something to read, ``block_ms`` at the most."""
        names = [keys.log(partition) for partition in self._at]
        after = [str(position) for position in self._at.values()]
        self._client.execute_command("XREAD", "COUNT", 1, "BLOCK", block_ms, "STREAMS", *names, *after)

    def _read(self, partition: int) -> list[Entry | Lost]:
        """One step in one partition. What the log holds and what is read of it are seen at the same moment, so that
        entries trimmed under a slow reader are noticed."""
        info, epoch, streams = self._look(partition)
        if epoch != self._epoch.setdefault(partition, epoch):
            self._epoch[partition], before = epoch, self._epoch[partition]
            self._at[partition], self._added[partition] = START, 0
            return [Lost(partition, "reborn", None)] if before else []
        if info is None:
            return []
        at, gone = self._at[partition], info["entries-added"] - info["length"]
        if (last := Position.parse(info["last-generated-id"])) < at:
            known = (
                partition in self._added
            )  # then a replica that knew less took over; else the start was in the future
            self._at[partition], self._added[partition] = last, info["entries-added"]
            return [Lost(partition, "reborn", None)] if known else []
        entries = log.entries_of(partition, log.stream_of(streams))
        found: list[Entry | Lost] = []
        if lost := self._lost(partition, gone, info["first-entry"]):
            found.append(lost)
        if entries:
            self._at[partition] = entries[-1].position
            self._adapt(entries)
        if not entries or entries[-1].position == last:
            self._added[partition] = info["entries-added"]
        elif lost:
            self._added[partition] = gone + len(entries)
        elif partition in self._added:
            self._added[partition] += len(entries)
        return [*found, *entries]

    def _look(self, partition: int) -> tuple[dict[str, Any] | None, str, Any]:
        pipe = self._client.pipeline(transaction=True)
        pipe.xinfo_stream(keys.log(partition))
        pipe.get(keys.epoch(partition))
        pipe.execute_command(
            "XREAD", "COUNT", self._count, "STREAMS", keys.log(partition), str(self._at[partition])
        )
        info, epoch, streams = pipe.execute(raise_on_error=False)
        for reply in (epoch, streams):
            if isinstance(reply, Exception):
                raise reply
        if isinstance(info, ResponseError) and "no such key" in str(info):
            info, epoch = None, None  # a stream that was deleted is as good as not born
        elif isinstance(info, Exception):
            raise info
        return info, "" if epoch is None else epoch.decode(), streams

    def _lost(self, partition: int, gone: int, first: Any) -> Lost | None:
        """Were entries dropped between our position and the first that is left?"""
        if partition in self._added:
            missed = gone - self._added[partition]
            return Lost(partition, "trimmed", missed) if missed > 0 else None
        at = self._at[partition]
        if gone > 0 and at > START and first is not None and Position.parse(first[0]) > at:
            return Lost(partition, "trimmed", None)
        return None

    def _adapt(self, entries: list[Entry]) -> None:
        average = sum(len(entry.raw) for entry in entries) // len(entries) + 1
        self._count = max(1, min(COUNT, BATCH_BYTES // average, self._count * 4))
