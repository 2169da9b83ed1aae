"""One worker of two processes, shared by all tests here: what it does with tasks of every kind, good and bad."""

import os
import re
import signal
import time
from pathlib import Path

import msgspec
import pytest

from messaging.taskqueue.job import Job, NewJob, State, new_id
from tests.processes import Process, exists
from tests.taskqueue import worker_tasks as tasks
from tests.taskqueue.workers import LEASE_SECONDS, Workshop, processes_of
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("worker")

MEMORY_MB = 300


@pytest.fixture(scope="module")
def worker(workshop_of_the_file: Workshop) -> Process:
    return workshop_of_the_file.work(
        "--queues", "*,mail=3", "--processes", "2", "--concurrency", "4", "--memory-limit", str(MEMORY_MB)
    )  # fmt: skip


def test_sync_and_async_tasks_run(workshop: Workshop) -> None:
    results = [
        tasks.add.enqueue(1, 2),
        tasks.aadd.enqueue(3, 4),
        tasks.add.using(queue_name="mail").enqueue(5, 6),
    ]
    assert [workshop.ended(result).result for result in results] == [b"3", b"7", b"11"]
    results[0].refresh()
    assert results[0].return_value == 3
    assert re.fullmatch(r".+:\d+:[0-9a-f]{8}", results[0].worker_ids[0])


def test_hundreds_run_once_each(workshop: Workshop) -> None:
    results = tasks.leave.enqueue_many([(f"one of many {number}",) for number in range(300)])
    for result in results:
        assert workshop.ended(result).state is State.SUCCEEDED
    left = [mark for mark in workshop.marks() if mark.startswith("one of many")]
    assert sorted(left) == sorted(f"one of many {number}" for number in range(300))


def test_what_ends_an_interpreter_is_a_failure_of_the_task(workshop: Workshop, worker: Process) -> None:
    eventually(lambda: len(processes_of(worker)) == 2)
    before = processes_of(worker)
    results = [
        tasks.exit_.enqueue("SystemExit"),
        tasks.exit_.enqueue("KeyboardInterrupt"),
        tasks.aexit.enqueue(),
    ]
    jobs = [workshop.ended(result) for result in results]
    assert [job.state for job in jobs] == [State.DEAD] * 3
    classes = [job.errors[0]["class"] for job in jobs]
    assert classes == ["builtins.SystemExit", "builtins.KeyboardInterrupt", "builtins.SystemExit"]
    assert processes_of(worker) == before


def test_what_using_was_given_is_asked_in_the_worker(workshop: Workshop) -> None:
    options = {"max_attempts": 3, "backoff": tasks.at_once, "give_up_on": KeyboardInterrupt}
    results = [tasks.exit_.using(**options).enqueue(how) for how in ("SystemExit", "KeyboardInterrupt")]  # type: ignore[arg-type]
    jobs = [workshop.ended(result) for result in results]
    assert [len(job.attempts) for job in jobs] == [3, 1]
    assert [job.reason for job in jobs] == ["failed 3 times", "gives up on KeyboardInterrupt"]
    assert workshop.marks().count("SystemExit again at once") == 2


def test_a_name_that_somebody_wrote_into_a_job_is_not_called_in_the_worker(
    workshop: Workshop, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    for option in ("func", "backoff"):
        path = tasks.leave.module_path
        body = {"task": path, "args": [str(made)], "options": {option: {"path": "os.mkdir"}}}
        job = NewJob(id=new_id("default"), body=msgspec.json.encode(body), task=path)
        workshop.queue().enqueue([job])

        def ended(job_id: str = job.id) -> Job | None:
            found = workshop.queue().get(job_id)
            return found if found and found.state is State.DEAD else None

        found = eventually(ended)
        assert found is not None
        assert found.reason == "unreadable"
        assert "'os.mkdir'" in found.errors[0]["traceback"]
    assert not made.exists()


def test_a_task_over_its_time_limit_is_stopped(workshop: Workshop) -> None:
    for result in (tasks.loop_for_ever.enqueue(), tasks.asleep_for_long.enqueue()):
        job = workshop.ended(result)
        assert job.state is State.DEAD
        assert job.errors[0]["class"] == "messaging.errors.TaskTimeout"


def test_a_task_that_cannot_be_stopped_costs_its_process(workshop: Workshop, worker: Process) -> None:
    result = tasks.sleep_for_long.enqueue()
    job = workshop.ended(result)
    assert job.errors[0]["class"] == "messaging.errors.TaskTimeout"
    pid = int(job.attempts[0].worker.split(":")[1])
    eventually(lambda: not exists(pid), message="the process with the thread that hangs ends")
    eventually(lambda: len(processes_of(worker)) == 2)


def test_cancelled_tasks_stop_running(workshop: Workshop) -> None:
    results = [tasks.wait.enqueue("cancel me"), tasks.await_.enqueue("acancel me")]
    workshop.wait_for_mark("began cancel me")
    workshop.wait_for_mark("began acancel me")
    for result in results:
        assert workshop.queue().cancel(result.id, "a test")
    assert [workshop.ended(result).state for result in results] == [State.CANCELLED] * 2
    workshop.wait_for_mark("cancelled acancel me")


def test_tasks_of_a_killed_process_run_elsewhere_and_it_is_replaced(
    workshop: Workshop, worker: Process
) -> None:
    other = tasks.wait.enqueue("beside the killer")
    workshop.wait_for_mark("began beside the killer")
    result = tasks.kill_worker_once.enqueue("kill once")
    workshop.wait_for_mark("began kill once")
    workshop.set("beside the killer")
    job = workshop.ended(result)
    assert job.result == b'"survived"'
    assert (job.crashes, [each.outcome for each in job.attempts]) == (1, ["lost", "succeeded"])
    assert workshop.ended(other).state is State.SUCCEEDED
    worker.wait_for("ended by SIGKILL with [12] tasks?, which are handed back")
    eventually(lambda: len(processes_of(worker)) == 2)


def test_a_task_that_kills_every_worker_ends_in_the_dead_letters(workshop: Workshop) -> None:
    job = workshop.ended(tasks.kill_worker.enqueue(), timeout=60)
    assert job.state is State.DEAD
    assert job.reason == "worker lost"
    assert workshop.marks().count("killing") == job.crashes == 2


def test_an_unknown_task_waits_for_the_release_that_knows_it(workshop: Workshop, worker: Process) -> None:
    known = tasks.add.enqueue(1, 1)
    body = workshop.ended(known).body.replace(b"worker_tasks.add", b"worker_tasks.not_yet")
    job = NewJob(id=new_id("default"), body=body, task="tests.taskqueue.worker_tasks.not_yet")
    workshop.queue().enqueue([job])

    def state() -> State | None:
        found = workshop.queue().get(job.id)
        return found.state if found and found.state is State.DELAYED and found.attempt == 0 else None

    assert eventually(state) is State.DELAYED
    worker.wait_for("not_yet.* is put back")


def test_an_idle_slot_holds_no_database_connection(workshop: Workshop) -> None:
    for _ in range(4):
        assert workshop.ended(tasks.use_database.enqueue()).state is State.SUCCEEDED
    assert {workshop.ended(tasks.open_connections.enqueue()).result for _ in range(4)} == {b"[]"}


def test_a_worker_says_what_it_does(workshop: Workshop) -> None:
    result = tasks.wait.enqueue("be seen")
    workshop.wait_for_mark("began be seen")

    def seen() -> bool:
        facts = [each.facts for each in workshop.queue().workers()]
        return any(task["id"] == result.id for each in facts for task in each["tasks"])

    eventually(seen)
    workshop.set("be seen")
    workshop.ended(result)
    facts = workshop.queue().workers()[0].facts
    assert {"host", "pid", "since", "queues", "slots", "busy", "state", "python", "django"} <= set(facts)
    assert (facts["queues"], facts["slots"]) == ("*,mail=3", 4)


def test_a_task_that_holds_the_interpreter_for_longer_than_a_lease_runs_once(
    workshop: Workshop,
) -> None:
    job = workshop.ended(tasks.hold_the_interpreter.enqueue(int(LEASE_SECONDS * 1400)))
    assert (job.state, len(job.attempts), job.crashes) == (State.SUCCEEDED, 1, 0)
    assert workshop.marks().count("holds the interpreter") == 1
    assert job.finished_ms - job.started_ms > LEASE_SECONDS * 1000


def test_a_process_that_grows_too_large_is_replaced_after_its_tasks(
    workshop: Workshop, worker: Process
) -> None:
    eventually(lambda: len(processes_of(worker)) == 2)
    job = workshop.ended(tasks.grow.enqueue(MEMORY_MB + 50))
    worker.wait_for(rf"process {job.result.decode()} ends after its \d+ tasks: it takes \d+ MB")
    eventually(lambda: not exists(int(job.result)))
    eventually(
        lambda: job.result.decode() not in {str(each.facts["pid"]) for each in workshop.queue().workers()}
    )


def test_a_process_that_somebody_ends_in_order_is_replaced(workshop: Workshop, worker: Process) -> None:
    eventually(lambda: len(processes_of(worker)) == 2)
    before = processes_of(worker)
    os.kill(before[0], signal.SIGTERM)
    eventually(lambda: len(set(processes_of(worker)) - set(before)) == 1)


def test_while_it_drains_it_keeps_its_tasks_for_longer_than_a_lease(
    workshop: Workshop, worker: Process
) -> None:
    result = tasks.wait.enqueue("drained")
    workshop.wait_for_mark("began drained")
    worker.signal(signal.SIGTERM)
    queue = workshop.queue()

    def states() -> set[object]:
        pids = processes_of(worker)
        return {each.facts["state"] for each in queue.workers() if each.facts["pid"] in pids}

    eventually(lambda: states() == {"draining"})
    behind = tasks.add.enqueue(1, 1)
    time.sleep(LEASE_SECONDS * 1.2)  # a lease that nobody renews would be over
    lease = queue.client.zscore(queue.key["leases"], result.id)
    assert lease is not None
    assert lease > queue.counts().now_ms
    assert workshop.job(behind).state is State.READY, "nothing is begun while it drains"
    workshop.set("drained")
    assert worker.wait() == 0
    assert worker.stdout == ""
    assert queue.workers() == workshop.queue("mail").workers() == []
    job = workshop.job(result)
    assert (job.state, len(job.attempts)) == (State.SUCCEEDED, 1)
