"""The subscribers of this release and those that earlier ones had -> who gets an event, deployed or not.

A subscriber is written down under its name when a listener first knows it. From then on every event that it wants
becomes a task, also while no release that is deployed has its code: the task waits in the queue. ``forget`` ends that.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import msgspec
import redis

from messaging import cursors, log
from messaging.conf import conf
from messaging.continuity import Stand
from messaging.deliveries import job_for, template_of
from messaging.event import Event
from messaging.log import START, Position
from messaging.models import Subscription
from messaging.patterns import matches_any
from messaging.subscribers import Subscriber, registered
from messaging.taskqueue.job import NewJob

logger = logging.getLogger("messaging.listen")

REFRESH_SECONDS = 5.0
MAX_READER = 50  # characters of a cursor's name
KNOWN_CHANNELS = 10_000  # whose subscribers are remembered

Since = dict[
    int, tuple[str, str]
]  # partition -> epoch and position; a partition that is not named: from its start

_since = msgspec.json.Decoder(Since)
_template = msgspec.json.Decoder(NewJob)


@dataclass(frozen=True, slots=True)
class Subscribed:
    """One row."""

    name: str
    patterns: tuple[str, ...]
    backend: str
    queue: str
    ordered_by: str
    template: NewJob
    since: Mapping[int, tuple[str, Position]]

    def wants(self, channel: str) -> bool:
        """Does any of its patterns match?"""
        return matches_any(self.patterns, channel)

    def job(self, event: Event, envelope: bytes, *, once: str = "") -> NewJob:
        """The job that brings it an event."""
        return job_for(
            self.template,
            event,
            envelope,
            name=self.name,
            queue=self.queue,
            ordered_by=self.ordered_by,
            once=once,
        )

    def includes(self, partition: int, epoch: str, position: Position) -> bool:
        """Is an entry there one of its own? In another life of the log than that in which it began, all are."""
        began = self.since.get(partition)
        return began is None or began[0] != epoch or position > began[1]


class Directory:
    """All that are subscribed, by channel."""

    def __init__(self, subscribed: Sequence[Subscribed]) -> None:
        self.by_name = {each.name: each for each in subscribed}
        self._by_channel: dict[str, tuple[Subscribed, ...]] = {}

    def of(self, channel: str) -> tuple[Subscribed, ...]:
        """Those that want a channel, each once."""
        found = self._by_channel.get(channel)
        if found is None:
            if len(self._by_channel) >= KNOWN_CHANNELS:
                self._by_channel.clear()
            found = tuple(each for each in self.by_name.values() if each.wants(channel))
            self._by_channel[channel] = found
        return found


class Subscriptions:
    """What the threads of a listener share: read again every few seconds, so that ``forget`` is heard."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._directory: Directory | None = None
        self._read_at = 0.0

    def directory(self) -> Directory:
        """As it is now; the first call enrols. Raises what the database and redis-py raise."""
        with self._lock:
            if self._directory is None:
                enrol(self._client)
            elif time.monotonic() - self._read_at < REFRESH_SECONDS:
                return self._directory
            self._directory = Directory(all_subscribed())
            self._read_at = time.monotonic()
            return self._directory


def enrol(client: redis.Redis) -> None:
    """Write down the subscribers of this release. A new one begins at the end of the log, or at its start."""
    if not registered:
        return
    rows = {row.name: row for row in Subscription.objects.using(conf.DATABASE)}
    now = datetime.now(UTC)
    ends: Since | None = None
    for subscriber in list(registered.values()):
        try:
            facts = _facts(subscriber)
        except Exception as error:  # of Django's Tasks, of annotations: the others have to go on
            logger.error(
                "subscriber %s cannot be dispatched to, its events are not kept: %s", subscriber.name, error
            )
            continue
        row = rows.get(subscriber.name)
        if row is None:
            if ends is None:
                ends = _ends(client)
            row = Subscription(name=subscriber.name, first_seen=now)
            row.since = msgspec.json.encode({} if subscriber.from_start else ends).decode()
            if subscriber.from_start:
                for partition in ends:
                    cursors.note(behind(subscriber.name), partition, Stand("", "", START))
            logger.info(
                "subscriber %s is new: from %s on",
                subscriber.name,
                "the log's start" if subscriber.from_start else "now",
            )
        for field, value in facts.items():
            setattr(row, field, value)
        row.seen_at = now
        row.save(using=conf.DATABASE)


def _facts(subscriber: Subscriber) -> dict[str, str]:
    template = template_of(subscriber)
    return {
        "patterns": msgspec.json.encode(subscriber.patterns).decode(),
        "backend": subscriber.backend,
        "queue": subscriber.queue,
        "ordered_by": subscriber.ordered_by,
        "template": msgspec.json.encode(template).decode(),
    }


def _ends(client: redis.Redis) -> Since:
    """Where each partition ends now."""
    found = {}
    for partition in log.partitions():
        bounds = log.bounds(client, partition)
        found[partition] = (bounds.epoch, str(bounds.last))
    return found


def all_subscribed() -> list[Subscribed]:
    """Every row."""
    return [subscribed_of(row) for row in Subscription.objects.using(conf.DATABASE)]


def subscribed_of(row: Subscription) -> Subscribed:
    """A row -> what dispatch needs of it."""
    since = _since.decode(row.since)
    return Subscribed(
        name=row.name,
        patterns=tuple(msgspec.json.decode(row.patterns, type=list[str])),
        backend=row.backend,
        queue=row.queue,
        ordered_by=row.ordered_by,
        template=_template.decode(row.template),
        since={partition: (epoch, Position.parse(at)) for partition, (epoch, at) in since.items()},
    )


def behind(name: str) -> str:
    """The cursor of a subscriber that still reads what was in the log before it came."""
    whole = f"subscriber:{name}"
    return whole if len(whole) <= MAX_READER else f"{whole[:33]}:{sha256(name.encode()).hexdigest()[:16]}"


def forget(name: str) -> bool:
    """Nothing is kept for this subscriber any more; was it there? What is in its queue already stays."""
    cursors.forget(behind(name))
    return bool(Subscription.objects.using(conf.DATABASE).filter(name=name).delete()[0])
