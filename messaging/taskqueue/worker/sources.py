"""A choice of queues -> jobs claimed from them by weight, and word when one of them has something."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import redis

from messaging import connection, keys
from messaging.errors import BrokerError
from messaging.taskqueue.job import Claimed
from messaging.taskqueue.queue import Queue, wait_many
from messaging.taskqueue.scripting import translated
from messaging.taskqueue.worker.plan import Choice

WAIT_SECONDS = 5.0  # a claim is tried so often even without word
LOOK_SECONDS = 5.0  # between two looks at which queues there are, where all are meant
DRY_SECONDS = 0.1  # an empty queue is not asked again so soon while another one is busy
PAUSE = 0.2  # after an error, which the claim that follows will report


class Sources:
    """The queues of one process: all calls from one thread; ``found`` is called in another one."""

    def __init__(self, alias: str, choice: Choice, *, found: Callable[[], None]) -> None:
        self._alias = alias
        self._choice = choice
        self._found = found
        self._client = connection.client(timeout=WAIT_SECONDS + 1)
        self._queues: dict[str, Queue] = {}
        self._weights: dict[str, int] = {}
        self._dry: dict[str, float] = {}  # name -> until when
        self._looked_at = -LOOK_SECONDS
        self._asked = threading.Event()
        self._watched: list[Queue] = []
        self._watching: threading.Thread | None = None

    def claim(self, worker: str, free: int, *, lease_ms: int) -> Iterator[tuple[Queue, list[Claimed]]]:
        """Up to ``free`` jobs. The slots are shared out by weight, drawn by lot where that does not come out even;
        what one queue cannot use goes to those that have more."""
        self._look()
        now = time.monotonic()
        weights = {name: weight for name, weight in self._weights.items() if self._dry.get(name, 0.0) <= now}
        weights = weights or dict(self._weights)
        while free and weights:
            for name, count in _drawn(weights, free).items():
                queue = self._queues[name]
                jobs = queue.claim(worker, count, lease_ms=lease_ms)
                if len(jobs) < count:
                    del weights[name]
                    self._dry[name] = time.monotonic() + DRY_SECONDS
                free -= len(jobs)
                if jobs:
                    yield queue, jobs

    def watch(self) -> None:
        """Call ``found`` once, as soon as there may be something, or after WAIT_SECONDS."""
        self._watched = [self._queues[name] for name in self._weights]
        if self._watching is None:
            self._watching = threading.Thread(target=self._watch, name="messaging-wait", daemon=True)
            self._watching.start()
        self._asked.set()

    def _look(self) -> None:
        """Which queues there are; asked again now and then, where all are meant."""
        now = time.monotonic()
        if self._weights and (not self._choice.every or now - self._looked_at < LOOK_SECONDS):
            return
        known = known_queues(self._client, self._alias) if self._choice.every else ()
        self._looked_at = now
        self._weights = self._choice.of(known)
        for name in self._weights:
            self._queues.setdefault(name, Queue(self._client, self._alias, name))

    def _watch(self) -> None:
        while self._asked.wait():
            self._asked.clear()
            try:
                if self._watched:
                    wait_many(self._watched, WAIT_SECONDS)
                else:
                    time.sleep(PAUSE)  # no queue has ever been used
            except BrokerError:
                time.sleep(PAUSE)
            self._dry.clear()
            self._found()


def _drawn(weights: dict[str, int], count: int) -> Counter[str]:
    """How many of ``count`` slots each queue gets, by lot."""
    names = list(weights)
    if len(names) == 1:
        return Counter({names[0]: count})
    return Counter(random.choices(names, [*weights.values()], k=count))  # noqa: S311 (a share, no secret)


def known_queues(client: redis.Redis, alias: str) -> list[str]:
    """Every queue of an alias that was ever used."""
    with translated(f"the queues of {alias!r}"):
        found: set[bytes] = client.execute_command("SMEMBERS", keys.queues(alias))
    return sorted(name.decode() for name in found)
