"""Foreign Pub/Sub messages and foreign lists -> the log."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import redis
from redis.client import PubSub

from messaging import foreign, keys, log, scripts
from messaging.conf import conf
from messaging.errors import BrokerFull
from messaging.lease import Fenced
from messaging.patterns import is_pattern, matches, matches_any

logger = logging.getLogger("messaging.listen")

BATCH = 500  # messages appended in one call, fewer when they are large (see log.CHUNK_BYTES)
OWN_PAUSE_SECONDS = 0.005  # after nothing but our own: each wake-up takes the interpreter from other threads
WAIT_SECONDS = 0.5  # of one step, when nothing comes
PROBE_SECONDS = 5.0  # between two probes of the subscription
REST_SECONDS = 10.0  # for the rest of a message that has begun to arrive
SILENT_SECONDS = 10.0  # without hearing the probe, the subscription is made anew


def _fitting(bodies: Sequence[bytes]) -> int:
    """How many of these, from the first on, make one call."""
    size = 0
    for count, body in enumerate(bodies):
        size += len(body)
        if count == BATCH or (count and size > log.CHUNK_BYTES):
            return count
    return len(bodies)


class ChannelCapture:
    """Subscribes to names and patterns and appends what foreign publishers send; our own messages are skipped."""

    def __init__(self, client: redis.Redis, subscriptions: Sequence[str], *, token: int = 0) -> None:
        self._client = client
        self._token = token
        self._names = tuple(each for each in subscriptions if not is_pattern(each))
        self._patterns = tuple(each for each in subscriptions if is_pattern(each))
        self._deny = (*conf.CAPTURE_DENY, f"{conf.NAMESPACE}:*")
        self._prefix = conf.CHANNEL_PREFIX
        self._pubsub: PubSub | None = None
        self._epochs: set[str] = set()
        self._strange: dict[str, float] = {}  # epochs that are not ours, and when to ask again
        self._probe = keys.probe_channel(secrets.token_hex(8))
        self._probe_sent = self._heard = 0.0
        self._unwritten: list[tuple[int, bytes]] = []  # partition and event
        self._unwritten_bytes = 0
        self.captured = 0

    def step(self, stopping: threading.Event) -> None:
        """Wait for messages, up to half a second, and append them; raises what redis-py raises, BrokerFull, or
        :class:`~messaging.lease.Fenced` when another listener captures: what was heard last is left to that one.

        A subscription whose connection broke, or whose server is a replica now, is made anew by the next step. It
        outlives every other error: while the log is full, Redis keeps for us what is published.
        """
        try:
            if self._unwritten:
                self._append()
                self._heard = time.monotonic()  # nobody listened meanwhile
            if self._pubsub is None:
                self._subscribe()
            self._check_alive()
            if not self._listen():
                stopping.wait(OWN_PAUSE_SECONDS)
        except (redis.ConnectionError, redis.TimeoutError, redis.ReadOnlyError):
            self.close()
            raise

    def _listen(self) -> bool:
        """Take what there is; was any of it foreign?"""
        message = self._next(WAIT_SECONDS)
        until = time.monotonic() + 0.05
        while message is not None:
            self._take(message)
            full = len(self._unwritten) >= BATCH or self._unwritten_bytes > log.CHUNK_BYTES
            if full or time.monotonic() > until:
                break
            message = self._next(0)
        if not self._unwritten:
            return False
        self._append()
        return True

    def close(self) -> None:
        """Give up the subscription."""
        pubsub, self._pubsub = self._pubsub, None
        if pubsub is not None:
            with suppress(Exception):
                pubsub.close()

    def _subscribe(self) -> None:
        pubsub = self._client.pubsub()
        self._pubsub = pubsub
        pubsub.subscribe(self._probe, *(self._prefix + name for name in self._names))
        if self._patterns:
            pubsub.psubscribe(*(escaped(self._prefix) + pattern for pattern in self._patterns))
        self._heard = self._probe_sent = time.monotonic()

    def _next(self, timeout: float) -> Sequence[Any] | None:
        """A message whose beginning comes within ``timeout`` seconds. Its rest may be on the way still and gets time
        of its own: redis-py would take a short time-out for a broken connection, and the subscription would be lost."""
        pubsub = self._pubsub
        assert pubsub is not None  # noqa: S101 (for the type checker; step() has subscribed)
        connection: Any = pubsub.connection
        if not connection.can_read(timeout=timeout):
            return None
        return pubsub.parse_response(block=False, timeout=REST_SECONDS)  # type: ignore[no-any-return]

    def _check_alive(self) -> None:
        """A socket may be half open for ever: what we send to ourselves has to come back."""
        now = time.monotonic()
        if now - self._heard > SILENT_SECONDS:
            raise redis.ConnectionError(f"the subscription has been silent for {SILENT_SECONDS:.0f} s")
        if now - self._probe_sent > PROBE_SECONDS:
            self._probe_sent = now
            self._client.publish(self._probe, b"")

    def _take(self, message: Sequence[Any]) -> None:
        kind = message[0]
        if kind not in (b"message", b"pmessage"):
            return
        channel, data = message[-2:]
        if self._is_own(data):  # first, since most that is heard may be our own
            return
        if kind == b"message":
            if channel == self._probe.encode():
                self._heard = time.monotonic()
                return
            if (name := self._stripped(channel)) is None or self._text(name) not in self._names:
                return
        else:
            if (name := self._stripped(channel)) is None or not self._is_first_match(
                message[1], self._text(name)
            ):
                return
        if matches_any(self._deny, self._text(name)):
            return
        body = foreign.envelope(data, channel=name, source=foreign.PUBSUB, limit=conf.MAX_CAPTURE_BYTES)
        self._unwritten.append((keys.partition_of(foreign.channel_name(name)[0]), body))
        self._unwritten_bytes += len(body)

    def _stripped(self, channel: bytes) -> bytes | None:
        """A channel without our prefix; ``None`` for one that does not have it."""
        prefix = self._prefix.encode()
        return channel[len(prefix) :] if channel.startswith(prefix) else None

    @staticmethod
    def _text(name: bytes) -> str:
        return name.decode("utf-8", "surrogateescape")

    def _is_first_match(self, pattern: bytes, name: str) -> bool:
        """Redis delivers once for each subscription that matches; only the first of ours counts."""
        if name in self._names:
            return False
        first = next((each for each in self._patterns if matches(each, name)), None)
        return first is None or (escaped(self._prefix) + first).encode() == pattern

    def _is_own(self, data: bytes) -> bool:
        """Does the message stand in our log already?"""
        epoch = foreign.own_epoch(data)
        if epoch is None or epoch in self._epochs:
            return epoch is not None
        now = time.monotonic()
        if now < self._strange.get(epoch, 0.0):
            return False
        for partition in log.partitions():
            if found := self._client.execute_command("GET", keys.epoch(partition)):
                self._epochs.add(found.decode())
        if len(self._strange) > 1000:
            self._strange.clear()
        self._strange[epoch] = now + 1.0
        return epoch in self._epochs

    def _append(self) -> None:
        """Write what was heard, partition by partition; what finds no room is kept for the next try."""
        todo, self._unwritten = self._unwritten, []
        by_partition: defaultdict[int, list[bytes]] = defaultdict(list)
        for partition, body in todo:
            by_partition[partition].append(body)
        try:
            for partition in list(by_partition):
                bodies = by_partition[partition]
                while bodies:
                    some = bodies[: _fitting(bodies)]
                    done = scripts.record(self._client, partition, some, token=self._token)
                    if done < 0:
                        raise Fenced(f"{len(todo)} captured messages are left to another listener")
                    self.captured += done
                    del bodies[:done]
                    if not done:
                        raise BrokerFull(f"FULL: {len(todo)} captured messages wait for room in the log")
        finally:
            self._unwritten = [(at, body) for at, bodies in by_partition.items() for body in bodies]
            self._unwritten_bytes = sum(len(body) for _, body in self._unwritten)


def escaped(text: str) -> str:
    """Text as a part of a Redis glob that matches just that text."""
    return "".join(f"\\{char}" if char in "*?[]\\" else char for char in text)


class ListCapture:
    """Drains one foreign list, its right end first (``LPUSH`` on their side), item by item into the log."""

    def __init__(self, client: redis.Redis, name: str, *, token: int = 0) -> None:
        self._client = client
        self._token = token
        self.name = name
        self._partition = keys.partition_of(foreign.channel_name(name.encode())[0])
        self.captured = 0

    def step(self, stopping: threading.Event) -> None:
        """Wait up to half a second for an item, then move what is there; raises what redis-py raises, BrokerFull, or
        :class:`~messaging.lease.Fenced`."""
        # Right end to right end of the same list: it waits without taking anything.
        if (
            self._client.execute_command("BLMOVE", self.name, self.name, "RIGHT", "RIGHT", WAIT_SECONDS)
            is None
        ):
            return
        while not stopping.is_set():
            items = scripts.peek(self._client, self.name, most=BATCH, most_bytes=log.CHUNK_BYTES)
            if not items:
                return
            pairs = [(item, self._envelope(item)) for item in items]
            moved = scripts.move(self._client, self.name, self._partition, pairs, token=self._token)
            if moved < 0:
                raise Fenced(f"list {self.name!r} is left to another listener")
            self.captured += moved
            if not moved and self._client.lindex(self.name, -1) == items[0]:
                raise BrokerFull(f"FULL: list {self.name!r} waits for room in the log")

    def close(self) -> None:
        """Nothing is held between two steps."""

    def _envelope(self, item: bytes) -> bytes:
        return foreign.envelope(
            item, channel=self.name.encode(), source=foreign.LIST, limit=conf.MAX_CAPTURE_BYTES
        )
