"""The name of a safeguard -> this process runs without it. For the processes of the harness only.

Each of these is a mistake that was, or could have been, made; a case counts only if one of them makes it fail.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from typing import Any

from django.conf import settings
from django.db import OperationalError, connections, transaction

from messaging import capture, outbox, relay, storage
from messaging.breaker import Breaker
from messaging.conf import conf, forget
from messaging.continuity import Stand, Verdict
from messaging.errors import BrokerError
from messaging.log import Bounds, Entry, Position
from messaging.models import Cursor, Message
from messaging.readers import RELAY
from messaging.sender import send
from tests.chaos import hold


def no_compare_and_set() -> None:
    """The cursor is moved without a look at where it stands and whose it is."""
    commit: Callable[..., None] = relay.Relay._commit

    def later(self: relay.Relay, *work: Any) -> None:
        hold.stay_if_asked()
        commit(self, *work)

    def move(self: relay.Relay, stand: Stand) -> None:
        Cursor.objects.using(conf.DATABASE).filter(reader=RELAY, partition=self.partition).update(
            epoch=stand.epoch,
            log_ms=stand.position.ms,
            log_seq=stand.position.seq,
            moved_at=datetime.now(UTC),
        )

    relay.Relay._move = move  # type: ignore[method-assign]
    relay.Relay.reload = lambda self: None  # type: ignore[method-assign]
    relay.Relay._commit = later  # type: ignore[method-assign]


def no_conflict_clause() -> None:
    """Rows are inserted, whatever is there. The harness drops the unique index as well."""
    storage._SQLITE = storage._SQLITE.partition(" ON CONFLICT")[0]
    storage._POSTGRESQL = storage._POSTGRESQL.partition(" ON CONFLICT")[0]


def ignore_conflicts() -> None:
    """What is known is dropped, and so the outbox row stays unsettled."""
    storage._SQLITE = storage._SQLITE.partition(" ON CONFLICT")[0] + " ON CONFLICT DO NOTHING"
    storage._POSTGRESQL = storage._POSTGRESQL.partition(" ON CONFLICT")[0] + " ON CONFLICT DO NOTHING"


def no_continuity() -> None:
    """Whatever has become of the log, read on from the position."""

    def judge(stood: Stand, now: Bounds, *, run_id: str, found: bool) -> Verdict:
        return Verdict("", stood._replace(epoch=now.epoch, run_id=run_id))

    relay.judge = judge


def no_sweeper() -> None:
    """Nobody looks after rows whose writer could not send them."""
    outbox.Sweeper.sweep = lambda self, stored_up_to: 0  # type: ignore[method-assign]


def settled_by_ok() -> None:
    """A row that Redis has taken is never sent again."""
    overdue = outbox.Sweeper._overdue

    def only_unsent(self: outbox.Sweeper) -> list[int]:
        unsent = Message.objects.using(conf.DATABASE).pending().filter(sends=0)
        return list(unsent.filter(pk__in=overdue(self)).order_by("pk").values_list("pk", flat=True))

    outbox.Sweeper._overdue = only_unsent  # type: ignore[method-assign]


def no_barrier() -> None:
    """A row is sent again because it is old, though the relay is merely behind: here, by two sweeps."""
    sweep = outbox.Sweeper.sweep
    take_over = relay.Relay.take_over
    far = Position(2**62, 0)
    swept, sweeps = threading.Event(), count(1)

    def at_any_rate(self: outbox.Sweeper, stored_up_to: dict[int, Position]) -> int:
        sent = sweep(self, dict.fromkeys(stored_up_to, far))
        if not sent or next(sweeps) == 2:
            swept.set()
        return sent

    def late(self: relay.Relay) -> None:
        swept.wait(20)
        take_over(self)

    relay.Relay.take_over = late  # type: ignore[method-assign]
    outbox.Sweeper.sweep = at_any_rate  # type: ignore[method-assign]


def acknowledged_before_stored() -> None:
    """The position moves in a transaction of its own, before the rows are there."""
    commit: Callable[..., None] = relay.Relay._commit

    def position_first(self: relay.Relay, position: Position, *work: Any) -> None:
        with transaction.atomic(using=conf.DATABASE):
            stand = self._stand._replace(position=position)
            self._move(stand)
        self._stand = stand
        connections[conf.DATABASE].close()
        hold.stay_if_asked()
        commit(self, position, *work)

    relay.Relay._commit = position_first  # type: ignore[method-assign]


def sent_before_commit() -> None:
    """The message leaves while its transaction may still be rolled back."""
    put = outbox.put

    def at_once(prepared: Sequence[Any]) -> list[Any]:
        try:
            send(prepared)
        except BrokerError:
            pass
        return put(prepared)

    outbox.put = at_once


def batch_dropped() -> None:
    """What the database does not take at once is given up, and the next batch has its turn."""
    commit: Callable[..., None] = relay.Relay._commit

    def careless(self: relay.Relay, position: Position, *work: Any) -> None:
        try:
            commit(self, position, *work)
        except OperationalError as error:
            relay.logger.warning("%s", error)
            while True:
                connections.close_all()
                with suppress(OperationalError):
                    commit(self, position, [], [], set())
                    return
                time.sleep(0.05)

    relay.Relay._commit = careless  # type: ignore[method-assign]


def no_breaker() -> None:
    """Each caller finds out by itself, for a whole budget, that Redis does not answer."""
    Breaker.check = lambda self: None  # type: ignore[method-assign]


def no_probe() -> None:
    """A subscription is good as long as its socket is open."""
    capture.SILENT_SECONDS = math.inf


def unordered() -> None:
    """Ordered channels are like any other."""
    settings.MESSAGING = settings.MESSAGING | {"ORDERED_CHANNELS": []}
    forget()


def bad_entry_stops() -> None:
    """An entry that is not an event raises, again and again."""
    store: Callable[..., None] = relay.Relay._store

    def strict(self: relay.Relay, entries: Sequence[Entry]) -> None:
        for entry in entries:
            entry.event()
        store(self, entries)

    relay.Relay._store = strict  # type: ignore[method-assign]


def bad_entry_dropped() -> None:
    """What is no event is passed over in silence."""
    commit: Callable[..., None] = relay.Relay._commit

    def silent(self: relay.Relay, position: Position, good: Any, bad: Any, channels: Any) -> None:
        commit(self, position, good, [], channels)

    relay.Relay._commit = silent  # type: ignore[method-assign]


VARIANTS = {
    each.__name__: each
    for each in (
        no_compare_and_set,
        no_conflict_clause,
        ignore_conflicts,
        no_continuity,
        no_sweeper,
        settled_by_ok,
        no_barrier,
        acknowledged_before_stored,
        sent_before_commit,
        unordered,
        batch_dropped,
        no_breaker,
        no_probe,
        bad_entry_stops,
        bad_entry_dropped,
    )
}
