"""A writer: publishes in all ways there are, and notes each in its ledger, until it is told to stop or killed."""

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

from django.db import DatabaseError, InterfaceError, close_old_connections, transaction

from messaging import outbox, publish
from messaging.errors import BrokerError, BrokerUnavailable
from tests.chaos.ledger import Ledger

LONGEST_PAUSE = 0.008
WAYS = ("commit", "rollback", "savepoint", "nested", "autocommit")


class _RollBack(Exception):
    """Ends a transaction."""


class Writer:
    """``direct`` is the share of messages outside a transaction; transactions stay open for ``hold`` seconds; behind
    commit number ``die`` it kills itself. Its messages go to ``lanes`` channels in turn. With ``burst`` it ends after
    one transaction of so many."""

    def __init__(
        self, ledger: Path, *, seed: int, direct: float, hold: float = 0.0, die: int = 0, lanes: int = 1,
        burst: int = 0,
    ) -> None:  # fmt: skip
        self._name = ledger.stem
        self._ledger = Ledger(ledger)
        self._random = random.Random(seed)
        self._direct = direct
        self._hold = hold
        self._die = die
        self._lanes = lanes
        self._burst = burst
        self._n = self._tx = 0
        self._unsure: list[int] = []
        self._stopping = False

    def run(self) -> None:
        """Until SIGTERM."""
        signal.signal(signal.SIGTERM, self._stop)
        if self._burst:
            self._publish_burst()
            return
        if self._die:
            self._die_behind_commit()
        while not self._stopping:
            if self._random.random() < self._direct:
                self._publish_direct()
            else:
                self._publish_in_transaction(self._random.choice(WAYS))
            time.sleep(self._random.uniform(0, LONGEST_PAUSE))

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _publish(self, via: str, *, again: bool = False, **options: Any) -> Any:
        if not again:
            self._n += 1
            self._ledger.note("attempt", self._n, via, self._tx if via == "outbox" else 0)
        return self._send(self._n, **options)

    def _send(self, n: int, **options: Any) -> Any:
        data = {"w": self._name, "n": n, "pad": "x" * self._random.choice((0, 10, 100, 1000))}
        return publish(f"w.{self._name}.{n % self._lanes}", data, id=f"{self._name}-{n}", **options)

    def _publish_direct(self) -> None:
        """What may have been sent is sent again, with its id, as a careful caller would: at once, and if that does not
        help, later. Then it has lost its place in the order, so nothing is promised of it."""
        maybe_sent = False
        for again in (False, True, True, True):
            try:
                event = self._publish("direct", outbox=False, again=again)
            except BrokerError as error:
                maybe_sent |= isinstance(error, BrokerUnavailable) and error.maybe_sent
                if not maybe_sent:
                    self._ledger.note("fail", self._n)
                    time.sleep(0.01)
                    return
                if self._stopping:
                    return
                time.sleep(0.1)
            else:
                self._ledger.note("ok", self._n, event.location)
                self._send_unsure()
                return
        self._unsure.append(self._n)

    def _send_unsure(self) -> None:
        while self._unsure:
            try:
                self._send(self._unsure[-1], outbox=False)
            except BrokerError:
                return
            self._unsure.pop()

    def _publish_in_transaction(self, way: str) -> None:
        self._tx += 1
        committing = False
        try:
            if way == "autocommit":
                committing = True
                self._ledger.note("committing", self._tx)
                self._publish("outbox", outbox=True)
            else:
                with transaction.atomic():
                    self._fill_transaction(way)
                    committing = True
                    self._ledger.note("committing", self._tx)
        except _RollBack:
            self._ledger.note("aborted", self._tx)
        except (DatabaseError, InterfaceError):
            if not committing:
                self._ledger.note("aborted", self._tx)
            close_old_connections()  # as Django does behind each request: a broken one does not heal
            time.sleep(0.05)
        else:
            self._ledger.note("committed", self._tx)

    def _publish_burst(self) -> None:
        self._tx += 1
        with transaction.atomic():
            for _ in range(self._burst):
                self._publish("outbox")
            self._ledger.note("committing", self._tx)
        self._ledger.note("committed", self._tx)

    def _fill_transaction(self, way: str) -> None:
        for _ in range(self._random.randint(1, 3)):
            self._publish("outbox")
        time.sleep(self._hold)
        if way == "rollback":
            raise _RollBack
        if way in ("savepoint", "nested"):
            first = self._n + 1
            try:
                with transaction.atomic():
                    self._publish("outbox")
                    with transaction.atomic():
                        self._publish("outbox")
                    if way == "savepoint":
                        raise _RollBack
            except _RollBack:
                for n in range(first, self._n + 1):
                    self._ledger.note("undone", n)
            self._publish("outbox")

    def _die_behind_commit(self) -> None:
        send_now = outbox._send_now

        def instead(*arguments: Any, **options: Any) -> None:
            if self._tx < self._die:
                send_now(*arguments, **options)
                return
            self._ledger.note("committed", self._tx)
            os.kill(os.getpid(), signal.SIGKILL)

        outbox._send_now = instead
