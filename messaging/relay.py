"""The log -> rows, exactly once: a batch and the position behind it are one transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import redis
from django.db import DatabaseError, connections, transaction

from messaging import keys, log, reading, scripts, storage
from messaging.conf import conf
from messaging.continuity import REASONS, Stand, judge
from messaging.cursors import OwnCursor
from messaging.decoder import NotAnEvent
from messaging.log import Entry, Position
from messaging.models import Gap, Quarantine
from messaging.readers import RELAY, retire_silent, slowest

logger = logging.getLogger("messaging.listen")

BATCH_BYTES = 8 * 1024 * 1024  # of entries held at a time; big events make small batches
KNOWN_CHANNELS = 10_000  # names remembered, so that the table of channels is not asked again
KEPT_ENTRIES = 10_000  # before those that get new positions
TRIM_EVERY = 20_000  # entries stored between two looks at the length of the log
TRIM_SECONDS = 60.0  # between two looks at the age of what it holds, or a quarter of REPLAY_SECONDS

# Beside threads that answer requests: after so many entries, so long a pause. To let go of the interpreter is not
# enough: a thread that waits for it needs 50 us to wake up, and finds it taken again until 5 ms have passed.
POLITE_ENTRIES = 25
POLITE_PAUSE = 0.0005


class Relay:
    """Moves one partition of the log into the table. One thread at a time may use it.

    A ``polite`` one works in short steps, so that other threads of its process need not wait for it.
    """

    def __init__(self, client: redis.Redis, partition: int, *, polite: bool = False) -> None:
        self._client = client
        self.partition = partition
        self._polite = polite
        self.stored = 0  # entries, since this relay was made
        self.caught_up = False  # did the last read reach the end?
        self._stand = Stand("", "", log.START)
        self._cursor = OwnCursor(RELAY, partition)
        self._count = 100  # entries of the next read: grows and shrinks with the size of events
        self._known_channels: set[str] = set()
        self._until_trim = 0
        self._trim_at = 0.0

    @property
    def position(self) -> Position:
        """Everything up to here is stored."""
        return self._stand.position

    def take_over(self) -> None:
        """Raise the fence: from here on, a relay that believes to be in charge is refused by the database."""
        self._stand = self._cursor.take_over(evicting=True)

    def reload(self) -> None:
        """Read the position back after an error: a COMMIT whose answer was lost may have moved it."""
        self._stand = self._cursor.reload()

    def step(self, *, block_ms: int) -> int:
        """Read one batch and store it; how many entries. Waits up to ``block_ms`` for the first.

        Raises :class:`LostFence`, what redis-py raises, or one of ``storage.NO_ROW_AT_FAULT`` when the database is away
        or unwell: call :meth:`reload` then and go on, no entry is lost. Any other refusal ends in the quarantine.
        """
        position = self.position
        try:
            read = self._read(block_ms)
        except reading.OutOfReach as error:
            self._renumber(error)
            return 0
        if not read.found or (read.epoch, read.run_id) != self._stand[:2]:
            self._look_again(read)
            if (read.epoch, position) != (self._stand.epoch, self.position):
                self.caught_up = False
                return 0
        entries = read.entries
        self.caught_up = len(entries) < self._count
        if entries:
            self._store(entries)
            self.stored += len(entries)
            if self._stand.added is not None:
                self._stand = self._stand._replace(added=self._stand.added + len(entries))
            self._adapt(entries)
        self._trim(len(entries))
        return len(entries)

    def _read(self, block_ms: int) -> reading.Reading:
        return reading.read(self._client, self.partition, self.position, count=self._count, block_ms=block_ms)

    def _renumber(self, error: reading.OutOfReach) -> None:
        """Entries that could not be stored where they stand, since the cursor could not get there either."""
        keep = (
            KEPT_ENTRIES if max(self.position) < log.LARGEST_STORED // 2 else 0
        )  # or the next would be there again
        moved = scripts.renumber(self._client, self.partition, first=str(error.position), keep=keep)
        self.caught_up = False
        logger.warning("partition %d: %s; %d entries have new positions", self.partition, error, moved)

    def _look_again(self, read: reading.Reading) -> None:
        """Something is not as it was. Go on from where that leads, and record what may have been lost."""
        stood, now = self._stand, log.bounds(self._client, self.partition)
        reason, stand, missed = judge(stood, now, run_id=read.run_id, found=read.found)
        if reason == "restarted" and self._client.get(keys.ended_in_order()) == stood.run_id.encode():
            reason = ""  # it was ended after all who publish, and wrote what it had
        if reason or stand[:3] != stood[:3]:
            with transaction.atomic(using=conf.DATABASE):
                self._move(stand)
                if reason:
                    Gap.objects.using(conf.DATABASE).create(
                        partition=self.partition,
                        reason=reason,
                        from_epoch=stood.epoch,
                        from_position=str(stood.position),
                        to_epoch=now.epoch,
                        to_position=str(now.first or now.last),
                        missed=missed,
                        noticed_at=datetime.now(UTC),
                    )
        if reason:
            logger.warning(
                "partition %d: %s; what is missing behind %s and not in the outbox is recorded as a gap",
                self.partition, REASONS[reason], stood.position,
            )  # fmt: skip
        self._stand = stand

    def _store(self, entries: Sequence[Entry]) -> None:
        """Store a batch; what the database refuses is found by halving and put into quarantine."""
        good: list[storage.Row] = []
        bad: list[tuple[Entry, str]] = []
        channels: set[str] = set()
        for number, entry in enumerate(entries):
            if number % POLITE_ENTRIES == 0:
                self._give_way()
            try:
                event = entry.event()
            except NotAnEvent as error:
                bad.append((entry, str(error)))
                continue
            good.append(storage.row_of(entry, event))
            if event.channel not in self._known_channels:
                channels.add(event.channel)
        try:
            self._commit(entries[-1].position, good, bad, channels)
        except storage.NO_ROW_AT_FAULT:
            raise
        except DatabaseError as error:
            if len(entries) == 1:
                self._commit(
                    entries[-1].position, [], [(entries[0], f"refused by the database: {error}")], set()
                )
            else:
                half = len(entries) // 2
                self._store(entries[:half])
                self._store(entries[half:])
            return
        if len(self._known_channels) > KNOWN_CHANNELS:
            self._known_channels.clear()
        self._known_channels |= channels

    def _commit(
        self,
        position: Position,
        good: Sequence[storage.Row],
        bad: Sequence[tuple[Entry, str]],
        channels: set[str],
    ) -> None:
        """One transaction: the position moves, the rows are stored or settled, the unreadable is kept aside."""
        now = datetime.now(UTC)
        using = conf.DATABASE
        with transaction.atomic(using=using):
            self._move(self._stand._replace(position=position))
            with connections[using].cursor() as cursor:
                epoch = self._stand.epoch
                for rows in self._portions(good):
                    storage.store(cursor, rows, epoch=epoch, partition=self.partition, stored_at=now)
                if channels:
                    storage.note_channels(cursor, sorted(channels), now)
            if bad:
                Quarantine.objects.using(using).bulk_create(
                    [self._quarantined(entry, reason, now) for entry, reason in bad],
                    update_conflicts=True,  # the log may be read again
                    unique_fields=["epoch", "partition", "log_ms", "log_seq"],
                    update_fields=["reason"],
                )
        self._stand = self._stand._replace(position=position)
        for entry, reason in bad:
            logger.warning("entry %s is in quarantine: %s", entry.location, reason)

    def _portions(self, rows: Sequence[storage.Row]) -> Iterator[Sequence[storage.Row]]:
        """What one statement stores."""
        size = POLITE_ENTRIES if self._polite else len(rows)
        for start in range(0, len(rows), size or 1):
            self._give_way()
            yield rows[start : start + size]

    def _give_way(self) -> None:
        if self._polite:
            time.sleep(POLITE_PAUSE)

    def _quarantined(self, entry: Entry, reason: str, now: datetime) -> Quarantine:
        return Quarantine(
            partition=self.partition,
            epoch=self._stand.epoch,
            log_ms=entry.position.ms,
            log_seq=entry.position.seq,
            reason=reason.replace("\x00", "\\x00"),
            body=entry.raw,
            quarantined_at=now,
        )

    def _move(self, stand: Stand) -> None:
        """Compare-and-set of where we stand, or :class:`LostFence`."""
        self._cursor.move(self._stand, stand)

    def _adapt(self, entries: Sequence[Entry]) -> None:
        """Size the next read so that it holds about ``BATCH_BYTES`` at the most."""
        average = sum(len(entry.raw) for entry in entries) // len(entries) + 1
        self._count = max(1, min(conf.BATCH_SIZE, BATCH_BYTES // average, self._count * 4))

    def _trim(self, stored: int) -> None:
        """Now and then, drop what all readers have read and is older than the replay window; at the start as well, when
        an earlier relay may have ended before it did."""
        self._until_trim -= stored
        seconds, now = conf.REPLAY_SECONDS, time.monotonic()
        if self._until_trim <= 0 or (seconds and now >= self._trim_at):
            self._trim_at = now + min(TRIM_SECONDS, seconds / 4)
            most = conf.MAX_LOG_ENTRIES
            keep = min(conf.REPLAY_ENTRIES, most - most // 10)
            self._until_trim = max(1, min(TRIM_EVERY, (most - keep) // 4))
            retire_silent(self._client, self.partition)
            position = slowest(self.partition, self._stand.epoch, self.position)
            scripts.trim(
                self._client,
                self.partition,
                keep=keep,
                position=str(position),
                crowded=most // 2,
                seconds=seconds,
            )
