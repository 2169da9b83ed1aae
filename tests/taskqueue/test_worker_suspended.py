"""Processes that stand still for longer than a lease, while their tasks run: they go on where they were."""

import os
import signal
import time
from collections.abc import Iterable

from messaging.taskqueue.job import State
from tests.processes import Process
from tests.taskqueue import worker_tasks as tasks
from tests.taskqueue.workers import LEASE_SECONDS, Workshop, processes_of
from tests.waiting import eventually


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, number)


def whole(worker: Process) -> list[int]:
    return [worker.pid, *processes_of(worker)]


def test_a_worker_that_claims_what_it_still_runs_runs_it_once_at_a_time_and_can_end(
    workshop: Workshop,
) -> None:
    worker, queue = workshop.work("--queues", "frozen", "--processes", "1"), workshop.queue("frozen")
    result = tasks.wait.using(queue_name="frozen").enqueue("frozen")
    workshop.wait_for_mark("began frozen")
    pids = whole(worker)
    signal_all(pids, signal.SIGSTOP)
    eventually(lambda: queue.sweep(int(LEASE_SECONDS * 1000)) and queue.counts().ready == 1)
    signal_all(pids, signal.SIGCONT)
    eventually(lambda: workshop.marks().count("began frozen") == 2, message=workshop.words())
    workshop.set("frozen")
    assert [each.outcome for each in workshop.ended(result).attempts] == ["lost", "succeeded"]
    assert workshop.marks().count("ended frozen") == 1, "the older attempt was stopped first"
    after = tasks.add.using(queue_name="frozen").enqueue(1, 1)
    assert workshop.ended(after).state is State.SUCCEEDED
    assert worker.terminate() == 0
    assert queue.counts().running == 0


def test_a_machine_that_was_suspended_goes_on(workshop: Workshop) -> None:
    """Redis and workers stand still together: no lease is taken for lost."""
    worker = workshop.work("--queues", "suspended", "--processes", "1")
    results = [tasks.wait.using(queue_name="suspended").enqueue(f"suspended {number}") for number in range(3)]
    for number in range(3):
        workshop.wait_for_mark(f"began suspended {number}")
    pids = [workshop.server.pid, *whole(worker)]
    signal_all(pids, signal.SIGSTOP)
    time.sleep(LEASE_SECONDS * 1.5)
    signal_all(pids, signal.SIGCONT)
    until_swept_again(workshop, "suspended")
    for number in range(3):
        workshop.set(f"suspended {number}")
    for result in results:
        assert [each.outcome for each in workshop.ended(result).attempts] == ["succeeded"]
    assert worker.terminate() == 0


def test_a_worker_that_starts_as_redis_comes_back_takes_nothing_from_another_one(workshop: Workshop) -> None:
    worker = workshop.work("--queues", "outage", "--processes", "1")
    result = tasks.wait.using(queue_name="outage").enqueue("outage")
    workshop.wait_for_mark("began outage")
    signal_all([workshop.server.pid], signal.SIGSTOP)
    another = workshop.work("--queues", "outage", "--processes", "1")
    another.wait_for("Redis is away")
    time.sleep(LEASE_SECONDS * 1.5)
    signal_all([workshop.server.pid], signal.SIGCONT)
    until_swept_again(workshop, "outage")
    workshop.set("outage")
    assert [each.outcome for each in workshop.ended(result).attempts] == ["succeeded"]
    assert worker.terminate() == another.terminate() == 0


def until_swept_again(workshop: Workshop, name: str) -> None:
    """Until sweeps take back what nobody holds."""
    queue = workshop.queue(name)
    now_ms = queue.counts().now_ms

    def look() -> bool:
        swept, patient = queue.client.hmget(queue.key["ctl"], "swept_ms", "patient_until")
        return int(swept or 0) > max(now_ms, int(patient or 0))

    eventually(look, message=workshop.words())
