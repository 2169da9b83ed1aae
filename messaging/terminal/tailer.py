"""The log, through every outage -> batches of what is wanted of it, until told to stop."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from redis.exceptions import RedisError

from messaging import connection
from messaging.decoder import NotAnEvent
from messaging.event import Event
from messaging.log import START, Position
from messaging.loop import FIRST_PAUSE, what_failed
from messaging.patterns import matches_any
from messaging.terminal import lines
from messaging.terminal.conditions import Condition
from messaging.terminal.follower import Follower, Lost
from messaging.terminal.lines import Read
from messaging.terminal.stopping import Stop

BLOCK_MS = 2000  # so long one question waits for news; shorter than the time-out of its socket
LONGEST_PAUSE = 2.0
SEARCHED_ENTRIES = 100_000  # that many are looked through for the last ones that are wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries: the channel matches any of ``channels`` (none: all), the text all of ``grep`` and none of
    ``exclude``, and it meets all of ``where``. An entry without an event has no channel and meets nothing."""

    channels: Sequence[str] = ()
    grep: Sequence[re.Pattern[str]] = ()
    exclude: Sequence[re.Pattern[str]] = ()
    where: Sequence[Condition] = ()

    def lets_event(self, event: Event | NotAnEvent) -> bool:
        """The part that is about channel and ``where``."""
        if self.channels and (isinstance(event, NotAnEvent) or not matches_any(self.channels, event.channel)):
            return False
        return all(each.met_by(event) for each in self.where)

    def lets_text(self, read: Read) -> bool:
        """The part that an entry without an event can be asked about, too."""
        if not self.grep and not self.exclude:
            return True
        text = lines.searched(read)
        return all(each.search(text) for each in self.grep) and not any(
            each.search(text) for each in self.exclude
        )


class Tailer:
    """Follows the log; ``tell`` gets a sentence and whether it is good news, whenever the state of things changes.
    ``passed_over`` counts the entries that may be wanted, but cannot be read."""

    def __init__(self, stop: Stop, *, wanted: Wanted, tell: Callable[[str, bool], None]) -> None:
        self._stop = stop
        self._wanted = wanted
        self._tell = tell
        self._follower = Follower(connection.client(timeout=5.0))
        self._failure = ""
        self.passed_over = 0

    def batches(
        self, *, last: int | None, since: Position | None, until_end: bool, seconds: float | None
    ) -> Iterator[Iterable[Read | Lost]]:
        """The ``last`` entries that are wanted (None: all there are), or all ``since`` a position, then the new ones.

        Ends at a stop, after ``seconds``, or when asked at the end of the log.
        """
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        pause = FIRST_PAUSE
        started = False
        while not self._stop.asked and (left := deadline - time.monotonic()) > 0:
            try:
                if started:
                    found = self._stop.interrupting(lambda: self._next(0 if until_end else left))
                else:
                    found = self._stop.interrupting(lambda: self._start(last, since))
                    started = True
                    if not found and found is not None:
                        continue
            except RedisError as error:
                self._failed(error)
                self._stop.pause(min(pause * random.uniform(0.5, 1.5), left))  # noqa: S311 (jitter)
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            pause = FIRST_PAUSE
            self._succeeded()
            if found:
                yield self._wanted_of(found)
            elif until_end:
                return

    def _start(self, last: int | None, since: Position | None) -> list[Read | Lost]:
        """Find the place to start, and what is wanted of the history."""
        if since is not None:
            self._follower.start_at(since)
            return []
        if last is None:
            self._follower.start_at(START)
            return []
        self._follower.start_at_end()
        self.passed_over = 0  # of a search that broke off
        history = (lines.read(entry) for entry in self._follower.before())
        found, broken_off = last_matching(history, self._is_wanted, count=last, most=SEARCHED_ENTRIES)
        if broken_off:
            self._tell(
                f"only the newest {SEARCHED_ENTRIES:,} entries were searched: --last all looks through all",
                False,
            )
        return [*found]

    def _next(self, seconds: float) -> list[Read | Lost]:
        """What comes within ``seconds``, or within the time that one question waits."""
        found = self._follower.read()
        if not found and seconds > 0:
            self._follower.wait(block_ms=max(1, int(min(BLOCK_MS, seconds * 1000))))
            found = self._follower.read()
        return [each if isinstance(each, Lost) else lines.read(each) for each in found]

    def _wanted_of(self, found: Sequence[Read | Lost]) -> Iterator[Read | Lost]:
        for each in found:
            if self._stop.asked:
                return
            if isinstance(each, Lost) or self._is_wanted(each):
                yield each

    def _is_wanted(self, read: Read) -> bool:
        event = read[1]
        if self._wanted.lets_event(event):
            return self._wanted.lets_text(read)
        if isinstance(event, NotAnEvent) and self._wanted.lets_text(read):
            self.passed_over += 1
        return False

    def _failed(self, error: RedisError) -> None:
        reason = what_failed(error)
        if reason != self._failure:
            self._failure = reason
            self._tell(f"{reason}, waiting for it: {error}", False)

    def _succeeded(self) -> None:
        if self._failure:
            self._tell("goes on, Redis answers again", True)
            self._failure = ""


def last_matching(
    newest_first: Iterable[Read], wanted: Callable[[Read], bool], *, count: int, most: int
) -> tuple[list[Read], bool]:
    """The newest ``count`` that are wanted, oldest first; was the search broken off after ``most``?"""
    found: list[Read] = []
    for looked_at, each in enumerate(newest_first):
        if len(found) == count or looked_at >= most:
            return found[::-1], len(found) < count
        if wanted(each):
            found.append(each)
    return found[::-1], False
