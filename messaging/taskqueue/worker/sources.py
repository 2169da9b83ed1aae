"""A choice of queues -> which of them to claim from, by weight, and word when one of them has something."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable

import redis

from messaging import connection, keys
from messaging.errors import BrokerError
from messaging.taskqueue.queue import Queue, wait_many
from messaging.taskqueue.scripting import translated
from messaging.taskqueue.worker.line import Line
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
        self._line = Line(timeout=WAIT_SECONDS + 1)
        self._queues: dict[str, Queue] = {}
        self._weights: dict[str, int] = {}
        self._dry: dict[Queue, float] = {}  # until when
        self._looked_at = -LOOK_SECONDS
        self._asked = threading.Event()
        self._watched: list[Queue] = []
        self._watching: threading.Thread | None = None

    def weights(self) -> dict[Queue, int]:
        """The queues that may have something, each with its share of the slots: those that were empty a moment ago are
        left out, as long as there are others."""
        self._look()
        now = time.monotonic()
        busy = {
            queue: self._weights[queue.name] for queue in self._watched if self._dry.get(queue, 0.0) <= now
        }
        return busy or {queue: self._weights[queue.name] for queue in self._watched}

    def dry(self, queue: Queue) -> None:
        """It had less than it was asked for."""
        self._dry[queue] = time.monotonic() + DRY_SECONDS

    def seen(self) -> list[Queue]:
        """All that were ever looked at."""
        return [*self._queues.values()]

    def watch(self) -> None:
        """Call ``found`` once, as soon as there may be something, or after WAIT_SECONDS."""
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
        for name in self._weights.keys() - self._queues.keys():
            self._queues[name] = Queue(self._client, self._alias, name, call=self._line.call)
        self._watched = [self._queues[name] for name in self._weights]

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


def drawn(weights: dict[Queue, int], count: int) -> dict[Queue, int]:
    """How many of ``count`` slots each queue gets, by lot where that does not come out even."""
    queues = list(weights)
    if len(queues) < 2:
        return dict.fromkeys(queues, count)
    return Counter(random.choices(queues, [*weights.values()], k=count))  # noqa: S311 (a share, no secret)


def known_queues(client: redis.Redis, alias: str) -> list[str]:
    """Every queue of an alias that was ever used."""
    with translated(f"the queues of {alias!r}"):
        found: set[bytes] = client.execute_command("SMEMBERS", keys.queues(alias))
    return sorted(name.decode() for name in found)
