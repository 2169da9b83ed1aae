"""Processes that stand still for longer than a lease, while their tasks run: they go on where they were."""

import os
import signal
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
