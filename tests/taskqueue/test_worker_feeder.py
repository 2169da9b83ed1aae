"""One process's claims and acknowledgements, step by step, with a real queue and no threads."""

import threading
import time
from collections.abc import Sequence
from typing import Any, cast

import pytest
from pytest_django import Settings

from messaging.errors import BrokerUnavailable
from messaging.taskqueue import running
from messaging.taskqueue.job import NewJob, State, new_id
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.running import Stop
from messaging.taskqueue.worker import messages
from messaging.taskqueue.worker.backends import backend_of
from messaging.taskqueue.worker.coroutines import Coroutines
from messaging.taskqueue.worker.feeder import Feeder
from messaging.taskqueue.worker.held import Held
from messaging.taskqueue.worker.sources import Sources
from messaging.taskqueue.worker.threads import Threads
from messaging.taskqueue.worker.watchdog import Watchdog
from tests.taskqueue.worker_settings import TASKS
from tests.waiting import eventually

WORKER = "here:1:00"
LEASE_MS = 3000


def job(id: str = "", **options: object) -> NewJob:
    path = "tests.taskqueue.worker_tasks.add"
    body = b'{"task":"%b","args":[1,2]}' % path.encode()
    return NewJob(id=id or new_id("mails"), **({"body": body, "task": path, "max_crashes": 9} | options))  # type: ignore[arg-type]


class OneQueue:
    """What a process claims from."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def weights(self) -> dict[Queue, int]:
        return {self._queue: 1}

    def dry(self, queue: Queue) -> None:
        pass

    def watch(self) -> None:
        pass


class Bench:
    """A feeder, what it has started and what it has told its supervisor."""

    def __init__(self, queue: Queue, slots: int, lease_ms: int = LEASE_MS) -> None:
        self.queue = queue
        self.started: list[Held] = []
        self.told: list[Any] = []
        self.stopping = threading.Event()
        self.feeder = Feeder(
            backend_of("default"),
            cast(Sources, OneQueue(queue)),
            worker=WORKER,
            slots=slots,
            lease_ms=lease_ms,
            budget=0,
            burst=False,
            start=self.started.extend,
            tell=self.told.append,
            on_empty=lambda: None,
        )
        self.watchdog = Watchdog(
            self.feeder.held,
            Threads(slots, done=self.feeder.done),
            Coroutines(done=self.feeder.done),
            stop_seconds=0.0,
            done=self.feeder.done,
        )

    def step(self) -> list[Held]:
        """What it has started."""
        before = len(self.started)
        self.feeder.wake()
        self.feeder.step(self.stopping)
        return self.started[before:]

    def end(self, tasks: Sequence[Held]) -> None:
        for held in tasks:
            held.run()
            self.feeder.done(held)

    def lose_leases(self) -> None:
        """Another worker takes back whatever is held."""
        for job_id, _ in self.feeder.held:
            self.queue.client.zadd(self.queue.key["leases"], {job_id: 1})
        eventually(lambda: self.queue.sweep(200).reclaimed)


class Broken:
    """A link that loses replies: the server does what it is asked, and nobody hears of it."""

    def __init__(self, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loses = True
        exchange = queue.exchange

        def lossy(*arguments: Any, **more: Any) -> Any:
            reply = exchange(*arguments, **more)
            if self.loses:
                raise BrokerUnavailable("the reply was lost", maybe_sent=True)
            return reply

        monkeypatch.setattr(queue, "exchange", lossy)


@pytest.fixture
def bench(queue: Queue, settings: Settings) -> Bench:
    settings.TASKS = TASKS
    return Bench(queue, slots=3)


def test_a_job_that_is_claimed_again_where_it_still_runs_begins_when_the_older_attempt_has_ended(
    bench: Bench,
) -> None:
    bench.queue.enqueue([new := job()])
    (older,) = bench.step()
    bench.lose_leases()
    bench.queue.enqueue([job()])
    (other,) = bench.step()
    assert (new.id, 2) in bench.feeder.held
    assert other.job.id != new.id
    assert messages.Waits([(new.id, 2)]) in bench.told
    bench.watchdog.look()
    assert older.stop is Stop.LOST, "nobody wants what it does any more"
    bench.end([older])
    (newer,) = bench.step()
    assert newer.job.claim == (new.id, 2)
    assert bench.told[-1] == messages.Begins((new.id, 2))
    assert set(bench.feeder.held) == {newer.job.claim, other.job.claim}
    bench.end([newer, other])
    bench.feeder.drain()
    bench.step()
    assert bench.feeder.held == {}
    assert bench.stopping.is_set()
    assert bench.queue.counts().succeeded == 2
    assert [each.outcome for each in bench.queue.get(new.id).attempts] == ["lost", "succeeded"]  # type: ignore[union-attr]


def test_it_goes_to_another_process_when_the_older_attempt_does_not_end(bench: Bench) -> None:
    bench.queue.enqueue([new := job()])
    (older,) = bench.step()
    bench.lose_leases()
    bench.step()
    bench.watchdog.look()
    bench.watchdog.look()
    assert bench.watchdog.given_up == [new.id]
    assert older.ended
    assert bench.step() == [], "the older one's function still runs"
    bench.feeder.drain()  # as its process does now
    bench.step()
    bench.step()
    assert bench.stopping.is_set()
    found = bench.queue.get(new.id)
    assert found is not None
    assert (found.state, [each.outcome for each in found.attempts]) == (State.READY, ["lost", "released"])


def test_a_redis_that_counts_claims_anew_hands_out_what_runs_here(bench: Bench) -> None:
    """An outbox enters its tasks again, under their ids, when Redis has lost them."""
    bench.queue.enqueue([new := job()])
    (held,) = bench.step()
    bench.queue.client.flushall()
    bench.queue.enqueue([new])
    assert bench.step() == []
    bench.end([held])
    bench.step()
    assert bench.queue.counts().succeeded == 1
    assert bench.feeder.held == {}


def test_what_was_claimed_by_a_call_whose_reply_was_lost_is_handed_back_and_has_not_crashed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.queue.enqueue([new := job(max_crashes=0), other := job()])
    link = Broken(bench.queue, monkeypatch)
    for _ in range(5):
        with pytest.raises(BrokerUnavailable):
            bench.step()
        assert bench.queue.counts().running == 2
        assert bench.feeder.held == {}
    link.loses = False
    started = bench.step()
    assert {held.job.id: (held.job.attempt, held.job.crashes) for held in started} == {
        new.id: (1, 0),
        other.id: (1, 0),
    }
    bench.end(started)
    bench.step()
    assert bench.queue.counts().succeeded == 2


def test_it_is_handed_back_at_the_end_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.queue.enqueue([new := job(max_crashes=0)])
    Broken(bench.queue, monkeypatch)
    with pytest.raises(BrokerUnavailable):
        bench.step()
    bench.feeder.drain()
    bench.step()
    assert bench.stopping.is_set()
    found = bench.queue.get(new.id)
    assert found is not None
    assert (found.state, found.attempt, found.crashes) == (State.READY, 0, 0)


def test_what_a_process_has_claimed_before_it_was_frozen_is_handed_back(
    queue: Queue, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TASKS = TASKS
    bench = Bench(queue, slots=2, lease_ms=300)
    exchange = queue.exchange

    def frozen(*arguments: Any, **more: Any) -> Any:
        reply = exchange(*arguments, **more)
        time.sleep(0.25)
        return reply

    monkeypatch.setattr(queue, "exchange", frozen)
    queue.enqueue([job()])
    assert bench.step() == []
    monkeypatch.undo()
    (held,) = bench.step()
    assert [each.outcome for each in held.job.attempts] == ["released", ""]
    bench.end([held])
    bench.step()


def test_one_that_takes_long_to_load_keeps_nobody_behind_it_from_beginning(
    queue: Queue, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first task imports what it needs; the supervisor knows of all of them and renews their leases."""
    settings.TASKS = TASKS
    bench = Bench(queue, slots=2, lease_ms=300)
    begin = running.begin

    def slow(*arguments: Any) -> Any:
        time.sleep(0.25)
        return begin(*arguments)

    monkeypatch.setattr(running, "begin", slow)
    queue.enqueue([job(), job()])
    started = bench.step()
    assert len(started) == 2
    bench.end(started)
    bench.step()
