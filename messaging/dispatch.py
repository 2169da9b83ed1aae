"""The log -> one task for each event and subscriber, in the queues of the workers.

The position moves only after the queues have taken the batch, so a listener may end anywhere: whoever goes on sends the
same jobs again, and a queue takes a job once by its id. Ids of ended jobs are remembered for an hour at the least. A
Redis that came back from a crash may have forgotten jobs of its last second whose events it still has: then the last
minute or two is dispatched again, and the ids drop what is known.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import redis

from messaging import cursors, log, reading
from messaging.continuity import REASONS, Stand, judge
from messaging.cursors import OwnCursor
from messaging.decoder import NotAnEvent
from messaging.event import Event
from messaging.log import START, Bounds, Entry, Position
from messaging.span import fitting, page
from messaging.subscriptions import Directory, Subscribed, Subscriptions, behind
from messaging.taskqueue.job import NewJob
from messaging.taskqueue.queue import Queue

logger = logging.getLogger("messaging.listen")

READER = "dispatch"
EARLIER = "dispatch-earlier"  # where the dispatcher was a minute or two ago
MINUTE = 60.0
IDLE_SECONDS = 1.0  # between two looks whether there are subscribers


class Dispatcher:
    """Makes tasks of one partition of the log. One thread at a time may use it."""

    def __init__(self, client: redis.Redis, partition: int, subscriptions: Subscriptions) -> None:
        self._client = client
        self.partition = partition
        self._subscriptions = subscriptions
        self._cursor = OwnCursor(READER, partition)
        self._stand: Stand | None = None  # None: not in charge
        self._idle = False
        self._enqueued = ("", START)  # the queues have what is up to here, in that life of the log
        self._behind: dict[str, Position] = {}  # subscribers that still read what was there before them
        self._mark = START  # where we were at the last mark
        self._marked_at = 0.0
        self._count = 100
        self._queues: dict[tuple[str, str], Queue] = {}
        self.dispatched = 0  # tasks, known ones included
        self.is_caught_up = False  # did the last read reach the end, for all subscribers?

    @property
    def position(self) -> Position | None:
        """Everything up to here is in the queues; ``None`` without subscribers."""
        return None if self._stand is None else self._stand.position

    def reload(self) -> None:
        """Read the position back after an error; raises :class:`~messaging.cursors.LostFence`."""
        if self._stand is not None:
            self._stand = self._cursor.reload()

    def step(self, stopping: threading.Event, *, block_ms: int) -> int:
        """Dispatch one batch; how many entries. Raises :class:`~messaging.cursors.LostFence`, what redis-py and the
        database raise, a :class:`~messaging.errors.BrokerError`: call :meth:`reload` then and go on."""
        directory = self._subscriptions.directory()
        if not directory.by_name:
            if not self._idle:
                self._stand, self._idle = None, True
                for reader in (READER, EARLIER):  # or the log would be kept for them
                    cursors.forget_one(reader, self.partition)
            self.is_caught_up = True
            stopping.wait(IDLE_SECONDS)
            return 0
        self._idle = False
        stand = self._stand or self._take_over(directory)
        asked = self._count
        found = reading.read(
            self._client,
            self.partition,
            stand.position,
            count=asked,
            block_ms=1 if self._behind else block_ms,
        )
        if not found.found or (found.epoch, found.run_id) != stand[:2]:
            now = self._look_again(stand, found)
            if (found.epoch, stand.position) != (now.epoch, now.position):
                self.is_caught_up = False
                return 0
            stand = now
        if found.entries:
            self._dispatch(found.entries, directory, stand.epoch)
            self._move(stand, stand._replace(position=found.entries[-1].position))
            self._count = min(fitting(found.entries), self._count * 4)
        self.is_caught_up = len(found.entries) < asked
        self._catch_up(directory)
        self.is_caught_up = self.is_caught_up and not self._behind
        self._note_earlier()
        return len(found.entries)

    # -- inside

    def _take_over(self, directory: Directory) -> Stand:
        """The first subscriber begins where the log ends now; those that come later are told by their rows."""
        bounds = log.bounds(self._client, self.partition)
        end = Stand(bounds.epoch, "", bounds.last)
        self._behind = {}
        for name in directory.by_name:
            if (at := cursors.noted(behind(name), self.partition)) is not None:
                self._behind[name] = at.position
        if cursors.noted(READER, self.partition) is None and any(
            each.includes(self.partition, end.epoch, end.position) for each in directory.by_name.values()
        ):
            logger.warning(
                "dispatch of partition %d has no position, because it was retired: it begins with the next event; "
                "manage.py messaging replay --to subscribers brings earlier ones",
                self.partition,
            )
        self._stand = stand = self._cursor.take_over(end)
        self._mark, self._marked_at = stand.position, time.monotonic()
        return stand

    def _move(self, stood: Stand, stand: Stand) -> None:
        self._cursor.move(stood, stand)
        self._stand = stand

    def _look_again(self, stood: Stand, found: reading.Reading) -> Stand:
        """Something is not as it was. Go on from where that leads, once more through what Redis may have forgotten."""
        now = log.bounds(self._client, self.partition)
        reason, stand, _ = judge(stood, now, run_id=found.run_id, found=found.found)
        if reason == "reborn" and found.found and stood.position > START:
            # Only the epoch was lost, or evicted: from the start of the log everybody would get everything again, where
            # the relay just finds that it has all of that.
            stand = stood._replace(epoch=now.epoch, run_id=found.run_id)
        if reason in ("rolled back", "restarted"):
            stand = stand._replace(position=self._earlier(stood.position, now))
        if reason:
            self._enqueued = ("", START)
            self._queues.clear()  # they tell Redis once a while that they exist; now it may not know
            logger.warning(
                "dispatch of partition %d: %s; it goes on behind %s",
                self.partition,
                REASONS[reason],
                stand.position,
            )
        if stand[:3] != stood[:3]:
            self._move(stood, stand)
        self._stand = stand
        return stand

    def _earlier(self, position: Position, now: Bounds) -> Position:
        """The last entry that was dispatched for certain a minute before Redis went away, or the log's start."""
        noted = cursors.noted(EARLIER, self.partition)
        at = min(position, now.last, position if noted is None else noted.position)
        if at.ms <= MINUTE * 1000:
            return START
        until = Position(at.ms - int(MINUTE * 1000), 0)
        entries = log.newest(self._client, self.partition, count=1, before=until)
        return entries[0].position if entries else START

    def _note_earlier(self) -> None:
        now, stand = time.monotonic(), self._stand
        if stand is not None and now - self._marked_at >= MINUTE:
            cursors.note(EARLIER, self.partition, stand._replace(position=self._mark))
            self._mark, self._marked_at = stand.position, now

    def _dispatch(self, entries: Sequence[Entry], directory: Directory, epoch: str) -> None:
        """Entries -> the queues, for all but those subscribers that are not here yet."""
        done = (
            self._enqueued[1] if self._enqueued[0] == epoch else START
        )  # enqueued, and then the database was away
        self._enqueue(
            (entry, event, each)
            for entry, event in _events(entry for entry in entries if entry.position > done)
            for each in directory.of(event.channel)
            if each.name not in self._behind and each.includes(self.partition, epoch, entry.position)
        )
        self._enqueued = (epoch, max(done, entries[-1].position))

    def _catch_up(self, directory: Directory) -> None:
        """A page for each subscriber that asked for what was there before it, until it is where all others are."""
        stand = self._stand
        for name, at in list(self._behind.items()):
            subscribed = directory.by_name.get(name)
            if subscribed is None or stand is None:
                del self._behind[name]
                continue
            entries, _ = page(self._client, self.partition, at, stand.position, self._count)
            self._enqueue(
                (entry, event, subscribed)
                for entry, event in _events(entries)
                if subscribed in directory.of(event.channel)
            )
            if entries and entries[-1].position < stand.position:
                self._behind[name] = entries[-1].position
                cursors.note(behind(name), self.partition, stand._replace(position=entries[-1].position))
            else:
                del self._behind[name]
                cursors.forget_one(behind(name), self.partition)

    def _enqueue(self, wanted: Iterable[tuple[Entry, Event, Subscribed]]) -> None:
        jobs: defaultdict[tuple[str, str], list[NewJob]] = defaultdict(list)
        for entry, event, each in wanted:
            jobs[each.backend, each.queue].append(each.job(event, entry.raw))
        for to, batch in jobs.items():
            queue = self._queues.get(to)
            if queue is None:
                queue = self._queues[to] = Queue(self._client, *to)
            queue.enqueue(batch)
            self.dispatched += len(batch)


def _events(entries: Iterable[Entry]) -> Iterator[tuple[Entry, Event]]:
    """Entries and what they say; what is no event is the relay's to put into quarantine."""
    for entry in entries:
        try:
            yield entry, entry.event()
        except NotAnEvent:
            continue
