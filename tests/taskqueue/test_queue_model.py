"""Random histories of several workers: each answer of the scripts is the model's, and so is each job after each step.

`HISTORIES=5000 pytest -o faulthandler_timeout=0 tests/taskqueue/test_queue_model.py` tries so many (10 to 30 a second).
"""

import os
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from messaging.taskqueue.job import Failed, NewJob, Outcome, Released, Retry, State, Succeeded, error_of
from messaging.taskqueue.quantities import Caps
from messaging.taskqueue.queue import Queue
from tests.servers import TestServer
from tests.taskqueue.audit import audit
from tests.taskqueue.model import ENDED, Model

WORKERS = st.sampled_from(["a:1:00", "a:2:00", "b:1:00"])
TIMES = st.sampled_from([0, 10, 20, 50])
MOST_DEAD = 3
KINDS = st.sampled_from(  # of the jobs of a history: all, or those whose rates bite
    [
        ("plain", "plain", "plain", "", "", "order", "limit", "both", "unique", "rate"),
        ("plain", "rate", "rate", "rate and"),
    ]
)


class Histories(RuleBasedStateMachine):
    """Steps that the model and a queue take together."""

    server: TestServer

    def __init__(self) -> None:
        super().__init__()
        client = self.server.client(protocol=2)
        client.flushall()
        self.queue = Queue(client, "default", "q", caps=Caps(dead=MOST_DEAD))
        self.model = Model(MOST_DEAD)
        self.ids: list[str] = []
        self.handed_out: list[tuple[str, str, int]] = []  # worker, id, token: of all claims ever

    @initialize(kinds=KINDS)
    def begin(self, kinds: tuple[str, ...]) -> None:
        self.kinds = kinds

    def step(self) -> None:
        self.queue.now = self.model.now

    @rule(data=st.data(), count=st.integers(1, 4))
    def enqueue(self, data: st.DataObject, count: int) -> None:
        self.step()
        jobs = [self.draw_job(data) for _ in range(count)]
        expected = [self.model.enqueue(job) for job in jobs]
        assert [(each.id, each.is_new) for each in self.queue.enqueue(jobs)] == expected

    def draw_job(self, data: st.DataObject) -> NewJob:
        again = [
            job_id
            for job_id in self.ids
            if job_id in self.model.jobs and self.model.jobs[job_id].state not in ENDED
        ]
        if again and data.draw(st.integers(0, 9)) == 0:
            return self.model.jobs[data.draw(st.sampled_from(again))].new
        self.ids.append(f"q.{len(self.ids)}")
        later = st.sampled_from([0, 0, 0, 10, 20]).map(lambda ms: ms and self.model.now + ms)
        options: dict[str, Any] = {
            "priority": data.draw(st.sampled_from([0, 0, 5, -100, 100])),
            "due_ms": data.draw(later),
            "max_crashes": data.draw(st.integers(0, 2)),
            "expires_ms": data.draw(later),
            "keep_ms": data.draw(st.sampled_from([0, 20, 10**9])),
            "keep_failed_ms": data.draw(st.sampled_from([20, 10**9])),
        }
        special = data.draw(st.sampled_from(self.kinds))
        if special == "plain":
            options |= {"due_ms": 0, "expires_ms": 0}
        if special in ("order", "both"):
            options["order_key"] = data.draw(st.sampled_from(["o1", "o2"]))
        if special in ("limit", "both"):
            options |= data.draw(
                st.sampled_from([{"limit_key": "l1", "limit": 1}, {"limit_key": "l2", "limit": 2}])
            )
        if special == "rate and":
            options |= {"order_key": "o1"} if data.draw(st.booleans()) else {"limit_key": "l1", "limit": 1}
        if special in ("rate", "rate and"):
            rate = data.draw(st.sampled_from([("r1", 10_000, 1), ("r1", 10_000, 1), ("r2", 7_300, 2)]))
            options |= dict(zip(("rate_key", "rate_us", "burst"), rate, strict=True))
        if special == "unique":
            options |= {
                "unique": data.draw(st.sampled_from(["u1", "u2"])),
                "unique_ms": data.draw(st.sampled_from([0, 20])),
            }
        return NewJob(id=self.ids[-1], body=b"{}", task="shop.tasks.send", **options)

    @rule(worker=WORKERS, count=st.integers(1, 5), lease=st.sampled_from([10, 30]))
    def claim(self, worker: str, count: int, lease: int) -> None:
        self.step()
        expected = self.model.claim(worker, count, lease)
        jobs = self.queue.claim(worker, count, lease_ms=lease)
        assert [(job.id, job.token) for job in jobs] == expected
        assert all((job.state, job.owner) == (State.RUNNING, worker) for job in jobs)
        self.handed_out += [(worker, *each) for each in expected]

    @precondition(lambda self: self.handed_out)
    @rule(data=st.data(), count=st.integers(1, 4), delay=TIMES, wanted=st.sampled_from([0, 0, 1, 3]))
    def settle(self, data: st.DataObject, count: int, delay: int, wanted: int) -> None:
        self.step()
        worker = data.draw(st.sampled_from(self.handed_out[-8:]))[0]
        theirs = [each[1:] for each in self.handed_out if each[0] == worker]
        outcomes: list[Outcome] = []
        expected = []
        for _ in range(count):
            job_id, token = data.draw(st.sampled_from(theirs[-8:]))
            how = data.draw(st.sampled_from(["succeeded", "succeeded", "retry", "dead", "released"]))
            error = error_of("builtins.ValueError", "Traceback")
            outcomes.append(
                {
                    "succeeded": Succeeded(job_id, token, data.draw(st.sampled_from([b"1", b"null"]))),
                    "retry": Retry(job_id, token, error, delay),
                    "dead": Failed(job_id, token, error, "max_attempts"),
                    "released": Released(job_id, token, delay),
                }[how]
            )
            expected.append(self.model.holds(worker, job_id, token))
            if expected[-1]:
                self.model.settle(job_id, how, delay)
        self.model.trim_dead()
        if not wanted:
            assert self.queue.settle(worker, outcomes) == expected
            return
        claims = self.model.claim(worker, wanted, 30)
        done, jobs = self.queue.exchange(worker, outcomes, wanted, lease_ms=30)
        assert (done, [(job.id, job.token) for job in jobs]) == (expected, claims)
        self.handed_out += [(worker, *each) for each in claims]

    @precondition(lambda self: self.handed_out)
    @rule(data=st.data(), lease=st.sampled_from([10, 30]))
    def renew(self, data: st.DataObject, lease: int) -> None:
        self.step()
        worker = data.draw(st.sampled_from(self.handed_out[-8:]))[0]
        held = [each[1:] for each in self.handed_out[-12:] if each[0] == worker]
        expected = {}
        for job_id, token in held:
            if not self.model.holds(worker, job_id, token):
                expected[job_id, token] = "lost"
                continue
            self.model.jobs[job_id].lease = self.model.now + lease
            if self.model.jobs[job_id].cancelled:
                expected[job_id, token] = "cancelled"
        assert self.queue.renew(worker, held, lease) == expected

    @rule(ms=TIMES)
    def time_passes(self, ms: int) -> None:
        self.model.now += ms + 1

    @rule(lease=st.sampled_from([40, 80, 100_000]))
    def sweep(self, lease: int) -> None:
        self.step()
        self.queue.client.delete(self.queue.key["sweeper"])
        reclaimed, expired = self.model.sweep(lease)
        self.model.trim_dead()
        swept = self.queue.sweep(lease)
        assert (swept.reclaimed, swept.expired, swept.reconciled) == (reclaimed, expired, 0), swept

    @rule(worker=WORKERS)
    def look_at_claims(self, worker: str) -> None:
        theirs = {(job_id, job.token) for job_id, job in self.model.held_by(worker).items()}
        assert set(self.queue.claims_of(worker)) == theirs

    @rule(worker=WORKERS)
    def worker_dies(self, worker: str) -> None:
        self.step()
        expected = self.model.release_worker(worker)
        self.model.trim_dead()
        assert set(self.queue.release_worker(worker)) == expected

    @precondition(lambda self: self.model.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.step()
        job_id = data.draw(st.sampled_from(sorted(self.model.jobs)))
        assert self.queue.cancel(job_id, "me") == self.model.cancel(job_id)

    @rule(data=st.data())
    def run_now(self, data: st.DataObject) -> None:
        self.step()
        delayed = [job_id for job_id, job in self.model.jobs.items() if job.state == "delayed"]
        if delayed:
            job = self.model.jobs[job_id := data.draw(st.sampled_from(delayed))]
            job.state, job.due, job.seq = "ready", self.model.now, self.model.next_seq()
            assert self.queue.run_now(job_id)

    @rule(data=st.data())
    def retry_dead(self, data: st.DataObject) -> None:
        self.step()
        dead = [job_id for job_id, job in self.model.jobs.items() if job.state == "dead"]
        if dead:
            job_id = data.draw(st.sampled_from(dead))
            assert self.queue.retry_dead([job_id], "me") == [self.model.revive(job_id)]

    @invariant()
    def every_job_is_as_the_model_says(self) -> None:
        self.step()
        for job_id, job in zip(self.ids, self.queue.get_many(self.ids), strict=True):
            assert (job is not None) == self.model.shown(job_id), job_id
            if job is not None:
                model = self.model.jobs[job_id]
                assert (job.state, job.attempt, job.token, job.crashes, job.forgiven) == (
                    *(model.state, model.attempt, model.token, model.crashes, model.forgiven),
                ), f"{job_id} {job} {model}"

    def teardown(self) -> None:
        audit(self.queue)
        self.server.close_clients()


@pytest.mark.timeout(0)  # as many as were asked for
def test_random_histories(valkey_server: TestServer) -> None:
    valkey_server.revive()
    Histories.server = valkey_server
    many = int(os.environ.get("HISTORIES", "25"))
    run_state_machine_as_test(Histories, settings=settings(max_examples=many, stateful_step_count=40))
