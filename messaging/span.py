"""A part of the log that somebody wants once more -> its pages, and an account of what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import redis

from messaging import keys, log
from messaging.log import LARGEST_STORED, START, Entry, Position
from messaging.patterns import matches_any

PAGE_ENTRIES = 500
PAGE_BYTES = 4 * 1024 * 1024
END = Position(LARGEST_STORED, LARGEST_STORED)


class Replay(NamedTuple):
    """What to replay: everything behind ``since``, up to and including ``until`` (``None``: what is there now), of
    the channels that match any of the patterns (none: all)."""

    since: Position
    until: Position | None = None
    channels: Sequence[str] = ()

    def wants(self, channel: str) -> bool:
        """Is it one of the channels?"""
        return not self.channels or matches_any(self.channels, channel)


@dataclass(slots=True)
class Totals:
    """How far a replay has come."""

    read: int = 0  # entries and rows of the span
    unreadable: int = 0  # of them no events; they are in quarantine
    wanted: int = 0  # of them of these channels
    done: int = 0  # stored, or published; of a dry run, those that would be
    known: int = 0  # in the table already
    refused: int = 0  # by the database, or by Redis (ACL)
    from_table: int = 0  # published from there, since the log has them no more
    heard: int = 0  # deliveries to subscribers, our own listener among them
    first: Position | None = None  # of those that were wanted
    at: Position = START  # everything up to here has been dealt with

    def note(self, position: Position) -> None:
        """One that is wanted."""
        self.wanted += 1
        if self.first is None or position < self.first:
            self.first = position


class LogChanged(Exception):
    """The log was born anew while it was read, or has not been born: there is nothing to go on with."""


def page(
    client: redis.Redis, partition: int, after: Position, until: Position, count: int
) -> tuple[list[Entry], str]:
    """Up to ``count`` entries behind a position, up to and including another, and the epoch of the log."""
    pipe = client.pipeline(transaction=True)
    pipe.execute_command("XRANGE", keys.log(partition), f"({after}", str(until), "COUNT", count)
    pipe.get(keys.epoch(partition))
    entries, epoch = pipe.execute()
    return log.entries_of(partition, entries), (epoch or b"").decode()


def fitting(entries: Sequence[Entry]) -> int:
    """How many entries of this size make a page."""
    average = sum(len(entry.raw) for entry in entries) // len(entries) + 1
    return max(1, min(PAGE_ENTRIES, PAGE_BYTES // average))
