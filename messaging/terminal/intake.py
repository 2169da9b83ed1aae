"""The lines of a pipe -> messages in the log: each soon after it came, many in one batch when they come fast."""

from __future__ import annotations

import os
import random
import select
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import msgspec
from redis.exceptions import ReadOnlyError

from messaging import foreign
from messaging.errors import BrokerError, BrokerRefused, InvalidMessage, Unencodable, shown
from messaging.event import Event
from messaging.loop import FIRST_PAUSE
from messaging.payload import JSON
from messaging.sender import Prepared, send
from messaging.terminal.stopping import Stop

CHUNK = 64 * 1024  # what a pipe holds
LONGEST_PAUSE = 2.0


class Line(NamedTuple):
    """One line without its end. A line above the limit has its size, and only its first bytes."""

    number: int
    raw: bytes
    size: int


class Reader(Protocol):
    """Where lines come from."""

    @property
    def ended(self) -> bool: ...

    def wait(self, seconds: float) -> bool: ...

    def read(self) -> list[Line]: ...


class LineReader:
    """A file descriptor -> lines, with no more than a chunk and one line in memory."""

    def __init__(self, descriptor: int, *, limit: int) -> None:
        self._descriptor = descriptor
        self._limit = limit
        self._number = 0
        self._begun = b""  # a line whose end has not come yet
        self._dropped = 0  # bytes of it that are too many
        self.ended = False

    def wait(self, seconds: float) -> bool:
        """Is there something to read, within so many seconds?"""
        return bool(select.select([self._descriptor], [], [], seconds)[0])

    def read(self) -> list[Line]:
        """The lines that are whole now; the last one of the input may lack its line end."""
        chunk = os.read(self._descriptor, CHUNK)
        lines = []
        *whole, rest = chunk.split(b"\n")
        for piece in whole:
            self._grow(piece)
            lines.append(self._take())
        self._grow(rest)
        if not chunk:
            self.ended = True
            if self._begun or self._dropped:
                lines.append(self._take())
        return lines

    def _grow(self, piece: bytes) -> None:
        room = self._limit + 1 - len(self._begun)  # one more, for a "\r"
        self._begun += piece[:room]
        self._dropped += max(0, len(piece) - room)

    def _take(self) -> Line:
        self._number += 1
        raw, size = self._begun, len(self._begun) + self._dropped
        self._begun, self._dropped = b"", 0
        if raw.endswith(b"\r") and size == len(raw):
            raw, size = raw[:-1], size - 1
        return Line(self._number, raw, size)


def data_of(raw: bytes, form: str) -> Any:
    """Bytes from a shell -> what :func:`messaging.publish` takes for them.

    ``form`` "json" takes JSON only and raises :class:`~messaging.errors.Unencodable`; "text" takes everything as
    text; "auto" takes JSON for what it is, the rest as text. JSON stays as it was written, what is not UTF-8 is bytes.
    """
    if form == "text":
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw
    payload, content_type, binary = foreign.payload_of(raw)
    if content_type == JSON:
        return msgspec.Raw(payload)
    if form == "json":
        raise Unencodable(f"not JSON: {shown(raw if binary else raw.decode())}")
    return raw if binary else raw.decode()


@dataclass(slots=True)
class Totals:
    """What became of the lines."""

    sent: int = 0
    blank: int = 0  # skipped
    refused: int = 0  # said one by one
    unsent: int = 0  # read, and given up at a stop or a refusal


class Intake:
    """Publishes lines until the input ends or a stop is asked for.

    ``prepare`` makes a message of a line or raises :class:`~messaging.errors.InvalidMessage`; ``blank`` keeps blank
    lines; ``tell`` gets a sentence when something is refused or changes, ``tick`` is called often.
    """

    def __init__(
        self,
        reader: Reader,
        *,
        stop: Stop,
        prepare: Callable[[bytes], Prepared],
        limit: int,
        blank: bool,
        tell: Callable[[str, bool], None],
        sent: Callable[[Sequence[Event]], None],
        tick: Callable[[Totals], None],
    ) -> None:
        self._reader = reader
        self._stop = stop
        self._prepare = prepare
        self._limit = limit
        self._blank = blank
        self._tell = tell
        self._sent = sent
        self._tick = tick
        self._failure = ""
        self.totals = Totals()

    def run(self) -> Totals:
        """Raises a :class:`~messaging.errors.BrokerError` that waiting does not heal; then ``totals.unsent`` says
        how many lines were read in vain."""
        while not self._reader.ended and not self._stop.asked:
            if self._stop.interrupting(lambda: self._reader.wait(0.5)):
                self._deliver(self._prepared(self._reader.read()))
            self._tick(self.totals)
        return self.totals

    def _prepared(self, lines: Sequence[Line]) -> list[Prepared]:
        ready = []
        for line in lines:
            try:
                if line.size > self._limit:
                    raise InvalidMessage(f"it has {line.size:,} bytes, an event at most {self._limit:,}")
                if line.raw.strip() or self._blank:
                    ready.append(self._prepare(line.raw))
                else:
                    self.totals.blank += 1
            except InvalidMessage as error:
                self.totals.refused += 1
                self._tell(f"line {line.number} is not published: {error}", False)
        return ready

    def _deliver(self, batch: list[Prepared]) -> None:
        """Send a batch, and what is left of it again and again while Redis is away: the same events with the same
        ids, of which a second copy is never stored."""
        pause = FIRST_PAUSE
        while batch:
            tried_after_stop = self._stop.asked
            try:
                self._count(send(batch))
                batch = []
            except BrokerError as error:
                self._count(error.published)
                known = {event.id for event in error.published}
                batch = [each for each in batch if each[0].id not in known]
                self.totals.unsent = len(batch)
                if tried_after_stop:
                    return
                if isinstance(error, BrokerRefused) and not isinstance(error.__cause__, ReadOnlyError):
                    raise
                if type(error).__name__ != self._failure:
                    self._failure = type(error).__name__
                    self._tell(f"the lines wait: {error}", False)
                self._stop.pause(pause * random.uniform(0.5, 1.5))  # noqa: S311 (jitter)
                pause = min(pause * 2, LONGEST_PAUSE)
                self._tick(self.totals)
        self.totals.unsent = 0
        if self._failure:
            self._failure = ""
            self._tell("goes on, Redis takes messages again", True)

    def _count(self, events: Sequence[Event]) -> None:
        self.totals.sent += len(events)
        if events:
            self._sent(events)
