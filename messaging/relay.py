"""The log -> rows, exactly once: a batch and the position behind it are one transaction."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

import redis
from django.db import DatabaseError, InterfaceError, OperationalError, connections, transaction

from messaging import keys, log, scripts, storage
from messaging.conf import conf
from messaging.event import Event, NotAnEvent
from messaging.log import Entry, Position
from messaging.models import Cursor, Gap, Quarantine

logger = logging.getLogger("messaging.listen")

READER = "relay"
BATCH_BYTES = 8 * 1024 * 1024  # of entries held at a time; big events make small batches
KNOWN_CHANNELS = 10_000  # names remembered, so that the table of channels is not asked again
TRIM_EVERY = 20_000  # entries stored between two looks at the length of the log


class LostFence(Exception):
    """Another listener has taken this partition over; nothing was stored."""


class Relay:
    """Moves one partition of the log into the table. One thread at a time may use it."""

    def __init__(self, client: redis.Redis, partition: int) -> None:
        self._client = client
        self.partition = partition
        self.stored = 0  # entries, since this relay was made
        self.caught_up = False  # did the last read reach the end?
        self.epoch = ""
        self.position = log.START
        self._fence = 0
        self._count = 100  # entries of the next read: grows and shrinks with the size of events
        self._known_channels: set[str] = set()
        self._until_trim = 0

    def take_over(self) -> None:
        """Raise the fence: from here on, a relay that believes to be in charge is refused by the database."""
        using = conf.DATABASE
        with transaction.atomic(using=using):
            cursor, _ = (
                Cursor.objects.using(using)
                .select_for_update()
                .get_or_create(reader=READER, partition=self.partition)
            )
            cursor.fence += 1
            cursor.save(using=using, update_fields=["fence"])
        self._take(cursor)

    def reload(self) -> None:
        """Read the position back after an error: a COMMIT whose answer was lost may have moved it."""
        cursor = Cursor.objects.using(conf.DATABASE).get(reader=READER, partition=self.partition)
        if cursor.fence != self._fence:
            raise LostFence(f"partition {self.partition}: fence {cursor.fence} is above ours, {self._fence}")
        self._take(cursor)

    def _take(self, cursor: Cursor) -> None:
        self._fence = cursor.fence
        self.epoch = cursor.epoch
        self.position = Position(cursor.log_ms, cursor.log_seq)

    def step(self, *, block_ms: int) -> int:
        """Read one batch and store it; how many entries. Waits up to ``block_ms`` for the first.

        Raises :class:`LostFence`, what redis-py raises, or ``OperationalError``/``InterfaceError`` when the database
        is away: call :meth:`reload` then and go on, no entry is lost. Any other refusal ends in the quarantine.
        """
        entries, epoch = self._read(block_ms)
        if epoch and epoch != self.epoch:
            self._reborn(epoch)
            return 0
        self.caught_up = len(entries) < self._count
        if entries:
            self._store(entries)
            self.stored += len(entries)
            self._adapt(entries)
            self._trim(len(entries))
        return len(entries)

    def _read(self, block_ms: int) -> tuple[list[Entry], str]:
        """A batch and, read behind it, the epoch that it belongs to."""
        pipe = self._client.pipeline(transaction=False)
        pipe.execute_command(
            "XREAD",
            "COUNT",
            self._count,
            "BLOCK",
            block_ms,
            "STREAMS",
            keys.log(self.partition),
            str(self.position),
        )
        pipe.get(keys.epoch(self.partition))
        streams, epoch = pipe.execute()
        return log.entries_of(self.partition, log.stream_of(streams)), (epoch or b"").decode()

    def _reborn(self, epoch: str) -> None:
        """The stream is not the one we read last: begin at its start; the unique ids drop what is known."""
        known = bool(self.epoch)
        with transaction.atomic(using=conf.DATABASE):
            self._move(log.START, epoch)
            if known:
                Gap.objects.using(conf.DATABASE).create(
                    partition=self.partition,
                    reason="reborn",
                    from_epoch=self.epoch,
                    from_position=str(self.position),
                    to_epoch=epoch,
                    to_position=str(log.START),
                    noticed_at=datetime.now(UTC),
                )
        if known:
            logger.warning(
                "partition %d: the log was born anew (epoch %s after %s); what Redis lost behind %s and the outbox "
                "does not hold is gone, recorded as a gap",
                self.partition, epoch, self.epoch, self.position,
            )  # fmt: skip
        self.epoch, self.position = epoch, log.START

    def _store(self, entries: Sequence[Entry]) -> None:
        """Store a batch; what the database refuses is found by halving and put into quarantine."""
        good: list[storage.Row] = []
        bad: list[tuple[Entry, str]] = []
        channels: set[str] = set()
        for entry in entries:
            try:
                event = entry.event()
            except NotAnEvent as error:
                bad.append((entry, str(error)))
                continue
            good.append(storage.row_of(entry, event))
            self._note(event, channels)
        try:
            self._commit(entries[-1].position, good, bad, channels)
        except (OperationalError, InterfaceError):
            raise  # the database is away, or locked: the batch is not at fault
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
        self._known_channels |= channels

    def _note(self, event: Event, channels: set[str]) -> None:
        if event.channel not in self._known_channels:
            if len(self._known_channels) > KNOWN_CHANNELS:
                self._known_channels.clear()
            channels.add(event.channel)

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
            self._move(position, self.epoch)
            with connections[using].cursor() as cursor:
                if good:
                    storage.store(cursor, good, epoch=self.epoch, partition=self.partition, stored_at=now)
                if channels:
                    storage.note_channels(cursor, sorted(channels), now)
            if bad:
                Quarantine.objects.using(using).bulk_create(
                    [self._quarantined(entry, reason, now) for entry, reason in bad]
                )
        self.position = position
        for entry, reason in bad:
            logger.warning("entry %s is in quarantine: %s", entry.location, reason)

    def _quarantined(self, entry: Entry, reason: str, now: datetime) -> Quarantine:
        return Quarantine(
            partition=self.partition,
            epoch=self.epoch,
            log_ms=entry.position.ms,
            log_seq=entry.position.seq,
            reason=reason.replace("\x00", "\\x00"),
            body=entry.raw,
            quarantined_at=now,
        )

    def _move(self, position: Position, epoch: str) -> None:
        """Compare-and-set of the position, or :class:`LostFence`."""
        moved = (
            Cursor.objects.using(conf.DATABASE)
            .filter(
                reader=READER,
                partition=self.partition,
                epoch=self.epoch,
                fence=self._fence,
                log_ms=self.position.ms,
                log_seq=self.position.seq,
            )
            .update(epoch=epoch, log_ms=position.ms, log_seq=position.seq, moved_at=datetime.now(UTC))
        )
        if not moved:
            raise LostFence(f"partition {self.partition} was moved on by another listener")

    def _adapt(self, entries: Sequence[Entry]) -> None:
        """Size the next read so that it holds about ``BATCH_BYTES`` at the most."""
        average = sum(len(entry.raw) for entry in entries) // len(entries) + 1
        self._count = max(1, min(conf.BATCH_SIZE, BATCH_BYTES // average, self._count * 4))

    def _trim(self, stored: int) -> None:
        """Now and then, drop what is stored and older than the replay window."""
        self._until_trim -= stored
        if self._until_trim <= 0:
            self._until_trim = TRIM_EVERY
            scripts.trim(self._client, self.partition, keep=conf.REPLAY_ENTRIES, position=str(self.position))
