"""Steps of a queue, one by one: what the model does not say, on the bundled Valkey and on the system's Redis."""

import re
import threading
import time
from pathlib import Path

import msgspec
import pytest

from messaging import keys
from messaging.connection import async_client, at
from messaging.errors import BrokerFull, BrokerUnavailable, InvalidMessage
from messaging.taskqueue.job import (
    Failed,
    NewJob,
    Released,
    Retry,
    State,
    Succeeded,
    error_of,
    new_id,
    queue_of,
)
from messaging.taskqueue.quantities import Caps
from messaging.taskqueue.queue import AsyncQueue, Queue, wait_many
from tests.servers import cluster_node
from tests.waiting import eventually

SCRIPTS = Path(__file__).resolve().parents[2] / "messaging" / "lua" / "queue"
ERROR = error_of("builtins.ValueError", "Traceback (most recent call last): ...")


def job(id: str = "", **options: object) -> NewJob:
    return NewJob(id=id or new_id("mails"), **({"body": b"{}", "task": "shop.tasks.send"} | options))  # type: ignore[arg-type]


def names(jobs: list[object]) -> list[str]:
    return [each.id for each in jobs]  # type: ignore[attr-defined]


def test_a_job_from_its_enqueue_to_its_result(any_queue: Queue) -> None:
    new = job(body=b'{"args":[1]}', timeout_ms=5000)
    (enqueued,) = any_queue.enqueue([new])
    assert (enqueued.id, enqueued.is_new) == (new.id, True)
    (claimed,) = any_queue.claim("w:1:00", 10, lease_ms=10_000)
    assert (claimed.id, claimed.body, claimed.timeout_ms, claimed.attempt) == (new.id, new.body, 5000, 1)
    assert claimed.enqueued_ms == enqueued.at_ms <= claimed.started_ms
    assert any_queue.settle("w:1:00", [Succeeded(new.id, claimed.token, b'"ok"')]) == [True]
    done = any_queue.get(new.id)
    assert done is not None
    assert (done.state, done.result, done.workers) == (State.SUCCEEDED, b'"ok"', ["w:1:00"])
    assert [each.outcome for each in done.attempts] == ["succeeded"]
    assert any_queue.client.smembers(keys.queues("default")) == {b"mails"}


def test_a_plain_job_and_one_with_a_key_are_told_alike(any_queue: Queue) -> None:
    """The records of plain ones are cut and joined as bytes (`plain.lua`), all others are written from tables."""

    def both() -> list[dict[str, object]]:
        told = [msgspec.structs.asdict(each) for each in any_queue.get_many(["plain", "keyed"]) if each]
        return [each | {"id": "", "limit_key": "", "limit": 0} for each in told]

    def is_plain() -> bool:
        return b"plain" in any_queue.client.hget(any_queue.key["jobs"], "plain")  # type: ignore[operator]

    for now, result, worker in ((1_000_000, b"null", "w"), (1_790_000_000_000, b'"\xc3\xa4"', "w" * 64)):
        any_queue.now = now
        options = {"timeout_ms": 5, "max_attempts": 300, "priority": -7, "body": b"x" * 70_000}
        any_queue.enqueue([job("plain", **options), job("keyed", limit_key="k", limit=1, **options)])
        assert both()[0] == both()[1]
        assert is_plain()
        any_queue.now = now + 2000
        claimed = any_queue.claim(worker, 2, lease_ms=10_000)
        assert [(each.id, each.token, each.workers) for each in claimed] == [
            ("plain", 1, [worker]),
            ("keyed", 1, [worker]),
        ]
        assert both()[0] == both()[1]
        assert is_plain()
        any_queue.now = now + 5000
        outcomes = [Succeeded(each.id, 1, result) for each in claimed]
        assert any_queue.settle("another", outcomes) == [False, False]
        assert any_queue.settle(worker, [*outcomes, *outcomes]) == [True, True, False, False]
        assert both()[0] == both()[1]
        assert both()[0]["result"] == result
        assert both()[0]["attempts"][0].outcome == "succeeded"  # type: ignore[index]
        assert any_queue.stats(1)[-1].run[12:13] == [2]
        any_queue.discard(State.SUCCEEDED, ["plain", "keyed"])


def test_order_is_priority_then_first_in_first_out(any_queue: Queue) -> None:
    jobs = [job(priority=priority) for priority in (0, -100, 100, 0, 99, 100, -99)]
    any_queue.enqueue(jobs)
    order = sorted(jobs, key=lambda each: -each.priority)
    assert names(any_queue.page(State.READY)) == names(order)
    claimed = [any_queue.claim("w", 2, lease_ms=10_000) for _ in range(4)]
    assert names([each for batch in claimed for each in batch]) == names(order)


def test_a_job_that_loses_its_workers_is_a_dead_letter_with_reason_and_owner(any_queue: Queue) -> None:
    any_queue.enqueue([new := job(max_crashes=1)])
    any_queue.claim("first", 1, lease_ms=1)
    eventually(lambda: any_queue.sweep(1000).reclaimed == 1)
    assert any_queue.claim("second", 1, lease_ms=60_000)[0].attempt == 2
    assert any_queue.release_worker("second") == [new.id]
    dead = any_queue.get(new.id)
    assert dead is not None
    assert (dead.state, dead.reason, dead.owner) == (State.DEAD, "worker lost", "second")
    assert [each.outcome for each in dead.attempts] == ["lost", "lost"]
    assert (dead.attempt, dead.tries) == (2, 0)


def sweep_at(queue: Queue, now_ms: int, lease_ms: int) -> int:
    """How many it has reclaimed then."""
    queue.now = now_ms
    queue.client.delete(queue.key["sweeper"])  # the turn of the one before is over
    return queue.sweep(lease_ms).reclaimed


@pytest.mark.parametrize(
    "pause", [60_000, 8 * 3_600_000], ids=["stalled", "suspended, or its clock put forward"]
)
def test_leases_that_ran_out_while_nobody_could_renew_them_are_not_lost(any_queue: Queue, pause: int) -> None:
    lease, begin = 12_000, 1_790_000_000_000
    any_queue.now = begin
    any_queue.enqueue([job("alive"), job("lost")])
    any_queue.claim("w", 2, lease_ms=lease)
    for after in range(0, lease - 1000, 3000):
        assert sweep_at(any_queue, begin + after, lease) == 0
    awake = begin + pause
    assert sweep_at(any_queue, awake, lease) == 0, "the first thing that it hears may be a sweep"
    assert sweep_at(any_queue, awake + 3000, lease) == 0
    any_queue.now = awake + 4000
    assert any_queue.renew("w", [("alive", 1)], lease) == {}
    assert sweep_at(any_queue, awake + 6000, lease) == 1
    assert any_queue.get("lost").state is State.READY  # type: ignore[union-attr]
    back = awake - 3_600_000  # the clock was wrong, and is put back
    assert sweep_at(any_queue, back, lease) == 0
    assert any_queue.claim("v", 1, lease_ms=1000)
    assert [sweep_at(any_queue, back + after, lease) for after in (3000, 6000)] == [0, 1]


def test_a_queue_that_had_no_worker_for_long_is_swept_after_half_a_lease(any_queue: Queue) -> None:
    any_queue.now = 1_790_000_000_000
    any_queue.enqueue([job("old")])
    any_queue.claim("w", 1, lease_ms=1000)
    began = 1_790_000_000_000 + 86_400_000
    assert [sweep_at(any_queue, began + after, 12_000) for after in (0, 3000, 6000)] == [0, 0, 1]


def test_errors_are_kept_the_newest_ten_and_half_a_surrogate_pair_ends_nothing(any_queue: Queue) -> None:
    any_queue.enqueue([new := job(max_attempts=20)])
    for number in range(12):
        (claimed,) = any_queue.claim("w", 1, lease_ms=10_000)
        assert len(claimed.errors) == min(number, 10)
        error = error_of("builtins.ValueError", f"{number} \ud800 " + "x" * 20_000)
        any_queue.settle("w", [Retry(new.id, claimed.token, error)])
    (claimed,) = any_queue.claim("w", 1, lease_ms=10_000)
    any_queue.settle("w", [Failed(new.id, claimed.token, ERROR, "attempts used up")])
    (dead,) = any_queue.page(State.DEAD)
    assert len(dead.errors) == 10
    assert len(dead.errors[0]["traceback"]) == 16_000
    assert any_queue.dead_groups()[0].cause == "builtins.ValueError"
    assert any_queue.discard_dead([dead.id], "me") == [True]
    assert any_queue.counts().dead == 0


@pytest.mark.parametrize("delay", [float("nan"), float("inf"), 10**19, 1e300])
def test_an_outcome_that_cannot_be_sent_or_kept_leaves_the_others_alone(
    any_queue: Queue, delay: float
) -> None:
    any_queue.enqueue([job("wild"), job("other")])
    any_queue.claim("w", 2, lease_ms=10_000)
    wild = Retry("wild", 1, ERROR, delay)  # type: ignore[arg-type]
    assert any_queue.settle("w", [wild, Succeeded("other", 1)]) == [True, True]
    counts = any_queue.counts()
    assert counts.succeeded == 1
    if delay in (10**19, 1e300):
        assert counts.delayed == 1
        assert any_queue.claim("w", 1, lease_ms=10_000) == []
        assert names(any_queue.page(State.DELAYED)) == ["wild"]
    else:
        (dead,) = any_queue.page(State.DEAD)
        assert "cannot be sent" in dead.reason


def test_dead_letters_beyond_a_cap_are_dropped_and_counted(any_queue: Queue) -> None:
    any_queue.caps = Caps(dead=5, dead_bytes=3_000)

    def kill(size: int) -> None:
        any_queue.enqueue([job(body=b"x" * size)])
        (claimed,) = any_queue.claim("w", 1, lease_ms=10_000)
        any_queue.settle("w", [Failed(claimed.id, claimed.token, None, "no use")])

    for _ in range(7):
        kill(10)
    assert (any_queue.counts().dead, any_queue.counts().dead_dropped) == (5, 2)
    kill(2_990)
    counts = any_queue.counts()
    assert (counts.dead, counts.dead_dropped) == (2, 6)
    assert any_queue.stats(2)[-1].counts["dropped"] + any_queue.stats(2)[-2].counts["dropped"] == 6
    any_queue.caps = Caps(dead_ms=1)
    eventually(lambda: any_queue.sweep(4) and any_queue.counts().dead == 0)


def test_minutes_are_added_up_to_hours_after_a_day_and_dropped_after_a_week(any_queue: Queue) -> None:
    """Whatever has been added up so far, each hour has what happened in it, once."""
    hour, begin = 3_600_000, 1_790_000_000_000 - 1_790_000_000_000 % 3_600_000
    happened = {begin + after * hour // 4: 1 + after % 3 for after in range(0, 4 * 30, 5)}  # every 75 minutes

    def inside(first: int) -> int:
        return sum(count for at_ms, count in happened.items() if first <= at_ms < first + hour)

    for at_ms, count in happened.items():
        any_queue.now = at_ms
        any_queue.enqueue([job() for _ in range(count)])
    for after in (30, 36, 48, 49):
        any_queue.now = begin + after * hour + hour // 2
        any_queue.sweep(4)
        any_queue.client.delete(any_queue.key["sweeper"])  # the turn of the next one
        hourly = any_queue.hourly(24 * 7)
        assert len(hourly) == 24 * 7
        assert [each.at_ms for each in hourly][-1] == begin + after * hour
        assert {each.minutes for each in hourly} == {60}
        counts = {each.at_ms: each.counts["enqueued"] for each in hourly if each.at_ms >= begin}
        assert counts == {first: inside(first) for first in counts}
        assert sum(each.counts["enqueued"] for each in any_queue.stats(24 * 60)) == sum(
            count for at_ms, count in happened.items() if at_ms > int(any_queue.now) - 24 * hour
        )
    any_queue.now = begin + 10 * 24 * hour
    any_queue.sweep(4)
    assert any_queue.client.hgetall(any_queue.key["stats"]) == {}


def test_results_beyond_their_cap_make_room(any_queue: Queue) -> None:
    any_queue.caps = Caps(ended_bytes=500)
    for _ in range(20):
        any_queue.enqueue([job()])
        (claimed,) = any_queue.claim("w", 1, lease_ms=10_000)
        any_queue.settle("w", [Succeeded(claimed.id, claimed.token, b"1" * 100)])
    counts = any_queue.counts()
    assert counts.ended_bytes <= 500 + 102
    assert counts.succeeded + counts.ended_dropped == 20


def test_of_results_and_of_what_was_cancelled_the_oldest_makes_room(any_queue: Queue) -> None:
    any_queue.caps = Caps(ended_bytes=2_500)
    any_queue.now = 1_000_000

    def end(name: str, *, cancelled: bool = False) -> None:
        any_queue.now = int(any_queue.now) + 1
        any_queue.enqueue([job(name, body=b"x" * 1000)])
        if cancelled:
            assert any_queue.cancel(name, "me")
            return
        (claimed,) = any_queue.claim("w", 1, lease_ms=10_000)
        any_queue.settle("w", [Succeeded(name, claimed.token)])

    def kept() -> set[str]:
        states = (State.SUCCEEDED, State.CANCELLED)
        return {each.id for state in states for each in any_queue.page(state)}

    for number in range(4):
        end(f"cancelled {number}", cancelled=True)
    end("first")
    assert kept() == {"cancelled 2", "cancelled 3", "first"}, "as much as one step of one outcome drops"
    end("second")
    assert kept() == {"first", "second"}
    end("late", cancelled=True)
    sweep_at(any_queue, int(any_queue.now) + 1, 10_000)
    assert kept() == {"second", "late"}
    assert any_queue.counts().ended_dropped == 5


def test_pause_and_resume(any_queue: Queue) -> None:
    any_queue.enqueue([job()])
    assert any_queue.pause("me", "a fire")
    assert not any_queue.pause("you", "too late")
    paused = any_queue.paused()
    assert paused is not None
    assert (paused.by, paused.why) == ("me", "a fire")
    assert any_queue.claim("w", 1, lease_ms=1) == []
    assert any_queue.resume("you")
    assert any_queue.wait(30)
    assert len(any_queue.claim("w", 1, lease_ms=10_000)) == 1
    assert any_queue.paused() is None


def test_a_queue_whose_other_structures_are_gone_is_put_right_from_the_records(any_queue: Queue) -> None:
    any_queue.enqueue(
        [job("r"), job("o1", order_key="k"), job("o2", order_key="k"), job("d", due_ms=2**42), job("l")]
    )
    any_queue.enqueue([job("l1", limit_key="m", limit=1, priority=9), job("l2", limit_key="m", limit=1)])
    (claimed,) = any_queue.claim("w", 1, lease_ms=10_000)
    assert claimed.id == "l1"
    any_queue.client.delete(
        *(any_queue.key[part] for part in ("ready", "due", "leases", "ordered", "heads", "held"))
    )
    eventually(lambda: any_queue.sweep(4).reconciled == 0 and any_queue.counts().ready == 6)
    taken = []
    for _ in range(6):
        for each in any_queue.claim("w", 10, lease_ms=60_000):
            taken.append(each.id)
            any_queue.settle("w", [Succeeded(each.id, each.token)])
    assert set(taken) == {"r", "o1", "o2", "l", "l1", "l2"}
    assert taken.index("o1") < taken.index("o2")
    assert any_queue.counts().delayed == 1


def test_after_flushall_the_queue_starts_anew(any_queue: Queue) -> None:
    any_queue.enqueue([job("a")])
    any_queue.claim("w", 1, lease_ms=10_000)
    any_queue.client.flushall()
    assert any_queue.renew("w", [("a", 1)], 1000) == {("a", 1): "lost"}
    assert any_queue.settle("w", [Succeeded("a", 1)]) == [False]
    assert any_queue.sweep(4).reclaimed == 0
    any_queue.enqueue([job("a")])
    assert any_queue.wait(30)
    assert names(any_queue.claim("w", 1, lease_ms=10_000)) == ["a"]


def test_out_of_memory_nothing_enters_but_what_is_there_ends(any_queue: Queue) -> None:
    any_queue.enqueue([job(str(number), max_crashes=0) for number in range(6)])
    any_queue.claim("w", 1, lease_ms=10_000)
    any_queue.client.config_set("maxmemory", 1)
    try:
        with pytest.raises(BrokerFull):
            any_queue.enqueue([job()])
        assert any_queue.renew("w", [("0", 1)], 20_000) == {}
        any_queue.beat("w", {})
        assert any_queue.pause("me")
        assert any_queue.resume("me")
        claimed = any_queue.claim("v", 3, lease_ms=10_000)
        outcomes = [
            Succeeded(claimed[0].id, 1),
            Failed(claimed[1].id, 1, ERROR, "x"),
            Retry(claimed[2].id, 1, ERROR),
        ]
        assert any_queue.settle("v", outcomes) == [True, True, True]
        assert any_queue.release_worker("w") == ["0"]
        assert any_queue.cancel("5", "me")
        assert any_queue.run_now(claimed[2].id) or any_queue.sweep(4)
        assert any_queue.retry_dead([claimed[1].id], "me") == [True]
        any_queue.sweep(4)
    finally:
        any_queue.client.config_set("maxmemory", 0)
    counts = any_queue.counts()
    assert (counts.ready, counts.delayed, counts.succeeded, counts.dead, counts.cancelled) == (3, 0, 1, 1, 1)


def test_wait_is_woken_by_an_enqueue_and_by_the_clock(queue: Queue) -> None:
    assert not queue.wait(0.01)
    woken: list[bool] = []
    waiter = threading.Thread(target=lambda: woken.append(queue.wait(30)))
    waiter.start()
    queue.enqueue([job("now")])
    waiter.join(30)
    assert woken == [True]
    assert names(queue.claim("w", 5, lease_ms=10_000)) == ["now"]

    now_ms = queue.counts().now_ms
    queue.enqueue([job("later", due_ms=now_ms + 300)])
    seen: list[str] = []

    def later() -> bool:
        assert queue.wait(30)
        seen.extend(names(queue.claim("w", 5, lease_ms=10_000)))
        return bool(seen)

    began = time.monotonic()
    eventually(later)
    assert seen == ["later"]
    assert time.monotonic() - began > 0.2  # not before its time; and by far not the 30 s
    assert queue.counts().now_ms >= now_ms + 300


def test_each_worker_that_waits_gets_its_share(queue: Queue) -> None:
    shares: list[str] = []

    def work() -> None:
        own = Queue(queue.client, queue.alias, queue.name)
        while not (jobs := own.claim(threading.current_thread().name, 1, lease_ms=60_000)):
            assert own.wait(30)
        shares.extend(names(jobs))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for each in workers:
        each.start()
    queue.enqueue([job(str(number)) for number in range(4)])
    for each in workers:
        each.join(30)
    assert sorted(shares) == ["0", "1", "2", "3"]


def test_one_wait_for_several_queues(queue: Queue) -> None:
    other = Queue(queue.client, queue.alias, "mails")
    third = Queue(queue.client, queue.alias, "mails")
    assert wait_many([other], 0.01) is None
    queue.enqueue([job()])
    assert wait_many([third, other], 30) in (third, other)


def test_unique_jobs_name_their_holder(queue: Queue) -> None:
    (first,) = queue.enqueue([job(unique="digest")])
    (second,) = queue.enqueue([job(unique="digest")])
    assert (second.id, second.is_new, second.at_ms) == (first.id, False, first.at_ms)
    queue.cancel(first.id, "me")
    assert queue.enqueue([job(unique="digest")])[0].is_new


@pytest.mark.parametrize("unique_ms", [0, 60_000])
def test_a_dead_letter_takes_its_unique_lock_again_or_stays(queue: Queue, unique_ms: int) -> None:
    def kill(name: str) -> None:
        (claimed,) = queue.claim("w", 1, lease_ms=10_000)
        assert claimed.id == name
        queue.settle("w", [Failed(name, claimed.token, ERROR, "no use")])

    queue.now = 1_000_000
    queue.enqueue([job("a", unique="digest", unique_ms=unique_ms)])
    kill("a")
    queue.now += 1000
    assert queue.retry_dead(["a"], "me") == [True]
    queue.now += 59_500  # the time of the lock is counted from there
    (answer,) = queue.enqueue([job("b", unique="digest", unique_ms=unique_ms)])
    assert (answer.id, answer.is_new, answer.at_ms) == ("a", False, 1_000_000)
    kill("a")
    queue.now += 1000
    assert queue.enqueue([job("b", unique="digest", unique_ms=unique_ms)])[0].is_new
    assert queue.retry_dead(["a"], "me") == [False]
    assert queue.counts().dead == 1
    kill("b")
    queue.now += 60_000
    assert queue.retry_dead(["a", "b"], "me") == [True, False], "both want the same lock"


def test_what_is_wrong_with_a_job_is_said(queue: Queue) -> None:
    for wrong in (
        job("x" * 64),
        job(priority=101),
        job(limit_key="k"),
        job(order_key="a\0b"),
    ):
        with pytest.raises(InvalidMessage):
            queue.enqueue([wrong])
    with pytest.raises(InvalidMessage):
        queue.claim("w" * 65, 1, lease_ms=1)


def test_pages_counts_and_purge(queue: Queue) -> None:
    queue.enqueue([job(str(number), task=f"t{number % 2}") for number in range(7)])
    queue.enqueue([job(f"d{number}", due_ms=2**42 - number) for number in range(3)])
    queue.enqueue([job(f"o{number}", order_key="k") for number in range(3)])
    assert names(queue.page(State.DELAYED)) == ["d2", "d1", "d0"]
    assert names(queue.page(State.READY, 5, 4)) == ["5", "6", "o0", "o1"]
    assert names(queue.page(State.READY, 0, 4, task="t1")) == ["1", "3"]
    counts = queue.counts()
    assert (counts.ready, counts.waiting, counts.delayed, counts.next_due_ms) == (10, 2, 3, 2**42 - 2)
    assert queue.run_now("d1")
    assert [queue.purge(State.READY), queue.purge(State.DELAYED), queue.purge(State.READY)] == [11, 2, 0]
    assert queue.client.hlen(queue.key["bodies"]) == 0


def test_handed_back_in_its_old_place(queue: Queue) -> None:
    queue.enqueue([job("a"), job("b")])
    (a,) = queue.claim("w", 1, lease_ms=10_000)
    queue.settle("w", [Released("a", a.token)])
    first, second = queue.claim("w", 2, lease_ms=10_000)
    assert (first.id, first.attempt, first.token, second.id) == ("a", 1, 2, "b")
    assert queue.settle("w", [Succeeded("a", 1), Succeeded("a", 2)]) == [False, True]


def test_workers_are_known_by_their_beats(queue: Queue) -> None:
    queue.beat("one", {"slots": 4})
    queue.beat("two", {})
    assert {each.id: each.facts for each in queue.workers()} == {"one": {"slots": 4}, "two": {}}
    queue.gone("one")
    assert names(queue.workers()) == ["two"]


@pytest.mark.anyio
async def test_the_asynchronous_twin(queue: Queue) -> None:
    clients = async_client()
    twin = AsyncQueue(clients, "default", "mails")
    (enqueued,) = await twin.enqueue([job("a")])
    assert enqueued.is_new
    found = await twin.get("a")
    assert found is not None
    assert found == queue.get("a")
    assert await twin.cancel("a", "me")
    await clients.connection_pool.disconnect()


def test_a_server_that_is_gone_is_named(queue: Queue, tmp_path: Path) -> None:
    nowhere = at(f"unix://{tmp_path}/none")
    lost = Queue(nowhere, "default", "mails")
    for call in (lost.counts, lambda: lost.wait(0.1), lambda: lost.enqueue([job()])):
        with pytest.raises(BrokerUnavailable, match="mails"):
            call()
    nowhere.close()


def test_a_cluster_and_rights_to_nothing_but_the_declared_keys_are_enough() -> None:
    server = cluster_node()
    try:
        rights = [f"~{name}" for name in (*keys.queue("default", "mails"), keys.queues("default"))]
        server.client().execute_command(
            *("ACL", "SETUSER", "app", "on", ">secret", "+@all", "-@dangerous", "-@admin", *rights)
        )
        queue = Queue(server.client(username="app", password="secret", protocol=2), "default", "mails")
        queue.enqueue([job(str(number), order_key="k", limit_key="l", limit=1) for number in range(4)])
        assert queue.wait(30)
        for outcome in (Succeeded("0", 1), Retry("1", 1, ERROR, 60_000), Failed("2", 1, ERROR, "x")):
            (claimed,) = queue.claim("w", 5, lease_ms=10_000)
            assert queue.settle("w", [outcome]) == [claimed.id == outcome.id]
            if claimed.id == "1":
                assert queue.cancel("1", "me")
        queue.beat("w", {})
        queue.sweep(4)
        assert queue.retry_dead(["2"], "me") == [True]
        assert queue.release_worker("w") == []
        assert queue.purge(State.READY) == 2
        counts = queue.counts()
        assert (counts.succeeded, counts.cancelled, counts.ready) == (1, 1, 0)
    finally:
        server.remove()


def test_ids_name_their_queue() -> None:
    for name in ("mails", "a.b", "x" * 200):
        made = new_id(name)
        assert len(made) < 64
        assert queue_of(made, ["other", name]) == name
        assert queue_of(made, ["other"]) is None
    assert queue_of("nonsense", ["mails"]) is None


def test_scripts_and_python_agree_on_the_keys() -> None:
    text = (SCRIPTS / "parts" / "keys.lua").read_text()
    assert re.findall(r"^  (\w+) = KEYS\[(\d+)\], +-- (.+)$", text, re.MULTILINE) == [
        (part, str(number), what) for number, (part, what) in enumerate(keys.QUEUE, 1)
    ]


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.lua")), ids=lambda path: path.name)
def test_each_script_says_what_it_does_takes_and_returns(path: Path) -> None:
    head = [line for line in path.read_text().splitlines() if line.startswith("-- ")]
    assert any(line.startswith("-- KEYS: 1 ") for line in head)
    assert any(line.startswith("-- ARGV: 1 ") for line in head)
    assert any(line.startswith("-- returns ") for line in head)
    used = re.findall(r"KEYS\[", path.read_text())
    assert used == [], "keys have names"
