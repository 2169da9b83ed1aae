"""What ``publish()`` is given during a test -> a list; nothing leaves, neither to Redis nor into the outbox."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

from messaging import outbox, publisher
from messaging.conf import conf
from messaging.event import Event
from messaging.patterns import matches_any
from messaging.sender import Prepared
from messaging.testing.delivering import deliver
from messaging.testing.kept import Commit, Kept, commit_of


class Captured(Kept[Event]):
    """The events, in the order of their publishing."""

    def of(self, *patterns: str) -> list[Event]:
        """Those on channels that match any of the patterns."""
        return [event for event in self if matches_any(patterns, event.channel)]

    def data(self, *patterns: str) -> list[Any]:
        """The data of all of them, or of those on such channels."""
        return [event.data for event in (self.of(*patterns) if patterns else self)]

    def deliver(self) -> list[str]:
        """Call the subscribers of each, here and now; their names, in that order."""
        return [name for event in list(self) for name in deliver(event)]


@contextmanager
def captured() -> Iterator[Captured]:
    """Keep what is published during a ``with`` block. Events are checked as ever and have no place in the log."""
    kept = Captured()

    def keep(prepared: Sequence[Prepared], commit: Commit | None = None) -> list[Event]:
        events = [event for event, _ in prepared]
        kept.keep(events, commit)
        return events

    def put(prepared: Sequence[Prepared]) -> list[Event]:
        return keep(prepared, commit_of(conf.DATABASE))

    def send_one(prepared: Prepared) -> Event:
        return keep([prepared])[0]

    async def asend_one(prepared: Prepared) -> Event:
        return keep([prepared])[0]

    with (
        mock.patch.object(outbox, "put", put),
        mock.patch.multiple(publisher, send_one=send_one, asend_one=asend_one, send=keep),
    ):
        yield kept
