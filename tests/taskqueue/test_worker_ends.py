"""How workers end, and how their tasks outlive them: signals, kills, an outage of Redis. All are started at once."""

import json
import os
import signal
import time
from typing import Any

import pytest

from messaging.taskqueue.draining import Asked, ask, heard, units
from messaging.taskqueue.job import State
from messaging.taskqueue.standing import look
from tests.processes import Process, exists
from tests.taskqueue import worker_tasks as tasks
from tests.taskqueue.workers import LEASE_SECONDS, Workshop, processes_of
from tests.waiting import eventually

Workers = dict[str, Process]


@pytest.fixture(scope="module", autouse=True)
def workers(workshop_of_the_file: Workshop) -> Workers:
    work = workshop_of_the_file.work
    return {
        "slow": work("--queues", "slow", "--drain-seconds", "0.3"),
        "at once": work("--queues", "at-once", "--concurrency", "1"),
        "killed": work("--queues", "shared", "--id", "killed"),
        "orphaned": work("--queues", "orphaned"),
        "asked": work("--queues", "asked,frozen", "--processes", "2"),
        "frozen": work("--queues", "frozen"),
        "several": work("--queues", "several", "--processes", "2"),
        "line": work("--queues", "line", "--processes", "1", "--concurrency", "2"),
    }


def running(workshop: Workshop, queue: str, key: str) -> Any:
    """A task that runs until ``key`` is set."""
    result = tasks.wait.using(queue_name=queue).enqueue(key)
    workshop.wait_for_mark(f"began {key}")
    return result


def listed(workshop: Workshop, queue: str) -> set[int]:
    """The process ids that `messaging workers` shows."""
    return {each.facts["pid"] for each in workshop.queue(queue).workers()}


def test_drain_that_takes_too_long_hands_back(workshop: Workshop, workers: Workers) -> None:
    results = [running(workshop, "slow", "slow"), tasks.await_.using(queue_name="slow").enqueue("aslow")]
    workshop.wait_for_mark("began aslow")
    eventually(lambda: listed(workshop, "slow"))
    assert workers["slow"].terminate() == 5
    assert listed(workshop, "slow") == set()
    for result in results:
        job = workshop.job(result)
        assert (job.state, job.attempt, job.crashes) == (State.READY, 0, 0)
    workshop.wait_for_mark("cancelled aslow")  # a coroutine may tidy up


def test_second_signal_hands_back_and_ends(workshop: Workshop, workers: Workers) -> None:
    worker = workers["at once"]
    result = running(workshop, "at-once", "at once")
    behind = tasks.add.using(queue_name="at-once").enqueue(1, 1)
    assert workshop.job(behind).state is State.READY  # never more than there are free slots
    eventually(lambda: listed(workshop, "at-once"))
    worker.signal(signal.SIGINT)
    with pytest.raises(AssertionError):
        worker.wait(0.5)
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 130
    assert listed(workshop, "at-once") == set()
    job = workshop.job(result)
    assert (job.state, job.attempt, job.crashes) == (State.READY, 0, 0)


def test_a_killed_supervisor_leaves_processes_that_finish(workshop: Workshop, workers: Workers) -> None:
    worker = workers["orphaned"]
    result = running(workshop, "orphaned", "orphaned")
    pids = processes_of(worker)
    worker.kill()
    time.sleep(LEASE_SECONDS * 1.1)  # the process keeps it by itself
    workshop.set("orphaned")
    job = workshop.ended(result)
    assert (job.state, len(job.attempts)) == (State.SUCCEEDED, 1)
    eventually(lambda: not any(exists(pid) for pid in pids))
    assert listed(workshop, "orphaned") == set()


def test_tasks_of_a_dead_machine_run_elsewhere_and_an_outage_of_redis_is_two_lines(
    workshop: Workshop, workers: Workers
) -> None:
    doomed = workers["killed"]
    result = running(workshop, "shared", "shared")
    pids = processes_of(doomed)
    for pid in (doomed.pid, *pids):
        os.kill(pid, signal.SIGKILL)
    workshop.set("shared")
    ready = workshop.directory / "ready"
    worker = workshop.work("--queues", "shared,lasting", "--ready-file", str(ready))
    job = workshop.ended(result)
    assert (job.state, job.crashes, len(job.attempts)) == (State.SUCCEEDED, 1, 2)
    assert job.attempts[0].worker.startswith(f"killed:{pids[0]}:")
    assert pids[0] in listed(workshop, "shared"), "nobody saw it end"

    eventually(ready.exists)
    result = running(workshop, "lasting", "lasting")
    workshop.server.stop()
    worker.wait_for("Redis is away")
    eventually(lambda: not ready.exists())
    workshop.server.start()
    worker.wait_for("over after .* Redis is away")
    eventually(ready.exists)
    after = tasks.add.using(queue_name="lasting").enqueue(2, 2)
    assert workshop.ended(after).state is State.SUCCEEDED
    worker.signal(signal.SIGTERM)
    eventually(lambda: not ready.exists())
    workshop.set("lasting")
    assert worker.wait() == 0
    job = workshop.job(result)
    assert (job.state, len(job.attempts)) == (State.SUCCEEDED, 1)
    assert worker.stderr.count("WARNING") == 2 + worker.stderr.count("are ready again"), worker.stderr


def test_a_worker_that_was_frozen_for_longer_than_a_lease_changes_nothing(
    workshop: Workshop, workers: Workers
) -> None:
    """Another one has run its task meanwhile; what the first one says about it, when it is woken, is refused."""
    result = running(workshop, "frozen", "frozen")
    pid = int(workshop.job(result).attempts[0].worker.split(":")[-2])
    frozen = next(each for each in (workers["asked"], workers["frozen"]) if pid in processes_of(each))
    pids = [frozen.pid, *processes_of(frozen)]
    for each in pids:
        os.kill(each, signal.SIGSTOP)
    eventually(lambda: len(workshop.job(result).attempts) == 2, timeout=60, message=workshop.words())
    workshop.set("frozen")
    job = workshop.ended(result)
    for each in pids:
        os.kill(each, signal.SIGCONT)
    assert job.result != str(pid).encode()
    after = tasks.add.using(queue_name="frozen").enqueue_many([(number, 1) for number in range(40)])
    for each in after:
        assert workshop.ended(each).state is State.SUCCEEDED
    eventually(lambda: workshop.queue("frozen").counts().running == 0)
    assert workshop.job(result) == job
    assert [each.outcome for each in job.attempts] == ["lost", "succeeded"]


def test_who_is_in_line_with_a_killer_is_not_taken_along(workshop: Workshop) -> None:
    """The killer, next in line, begins when the outcome of the one before it is settled, and not when it has ended."""
    result = running(workshop, "line", "line")
    killer = tasks.kill_worker_at_once.using(queue_name="line").enqueue()
    eventually(lambda: workshop.marks().count("began line") > 1, message=workshop.words())
    workshop.set("line")
    job = workshop.ended(result)
    assert [each.outcome for each in job.attempts if each.outcome != "released"] == ["lost", "succeeded"]
    assert workshop.ended(killer).state is State.DEAD


def test_an_operator_asks_it_to_take_no_more_and_to_end(workshop: Workshop, workers: Workers) -> None:
    worker, queue = workers["asked"], workshop.queue("asked")
    result = running(workshop, "asked", "asked")
    (unit,) = units({each.id: each for each in queue.workers()}).values()
    assert len(unit.workers) == 2
    ask(queue.client, unit, Asked("stay", "anna"))
    worker.wait_for("takes no more tasks, as anna asked")
    eventually(lambda: look([queue])[0].workers == 0)
    busy = int(workshop.job(result).attempts[0].worker.split(":")[-2])
    (idle,) = set(processes_of(worker)) - {busy}
    os.kill(idle, signal.SIGKILL)  # who takes its place stays quiet too
    worker.wait_for("another one starts")
    behind = tasks.add.using(queue_name="asked").enqueue(1, 2)
    workshop.set("asked")
    assert workshop.ended(result).state is State.SUCCEEDED
    eventually(lambda: listed(workshop, "asked") == set(processes_of(worker)) != {busy})
    assert workshop.job(behind).state is State.READY
    ask(queue.client, unit, Asked("go on", "anna"))
    assert workshop.ended(behind).state is State.SUCCEEDED
    last = running(workshop, "asked", "asked last")
    ask(queue.client, unit, Asked("end", "anna"))
    worker.wait_for("drains and ends, as anna asked")
    workshop.set("asked last")
    assert worker.wait() == 0
    assert listed(workshop, "asked") == set()
    assert workshop.job(last).state is State.SUCCEEDED
    assert heard(queue.client, "default", unit.name) is None


def test_a_burst_ends_when_nothing_is_left(workshop: Workshop) -> None:
    results = tasks.add.using(queue_name="burst").enqueue_many([(number, 1) for number in range(30)])
    counted = workshop.work("--queues", "burst", "--max-tasks", "7", "--processes", "2", "--json")
    assert counted.wait() == 0
    assert json.loads(counted.stdout.splitlines()[-1])["succeeded"] == 7
    assert workshop.work("--queues", "burst", "--burst").wait() == 0
    assert listed(workshop, "burst") == set()
    assert {workshop.job(result).state for result in results} == {State.SUCCEEDED}


def test_a_killed_process_of_several_is_listed_no_more(workshop: Workshop, workers: Workers) -> None:
    """Nor is one that ends in order and is replaced, and nobody is once all have ended."""
    worker = workers["several"]

    def one_ends(number: signal.Signals) -> None:
        ended = min(processes_of(worker))
        os.kill(ended, number)
        eventually(lambda: len(now := listed(workshop, "several")) == 2 and ended not in now)
        time.sleep(LEASE_SECONDS / 2)  # a heartbeat or two
        assert ended not in listed(workshop, "several")

    eventually(lambda: len(listed(workshop, "several")) == 2)
    one_ends(signal.SIGKILL)
    worker.wait_for("ended by SIGKILL with 0 tasks")
    one_ends(signal.SIGTERM)
    assert worker.terminate() == 0
    assert workshop.queue("several").workers() == []
