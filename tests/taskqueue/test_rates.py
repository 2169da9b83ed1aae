"""How many of a rate begin in what time: against the model, and as whoever enqueues and runs tasks sees it."""

import random
import time

import pytest
from pytest_django import Settings

from messaging.errors import InvalidMessage, InvalidOption
from messaging.taskqueue.job import NewJob, Outcome, Released, Retry, State, Succeeded, error_of
from messaging.taskqueue.options import rate_of
from messaging.taskqueue.queue import Queue
from tests.admin.conftest import mails
from tests.servers import TestServer
from tests.taskqueue import jobs
from tests.taskqueue.audit import audit
from tests.taskqueue.model import Model
from tests.waiting import eventually

__all__ = ["mails"]

RATES = (("r1", 10_000, 1), ("r1", 10_000, 1), ("r2", 7_300, 2), ("r3", 25_000, 3))


def rated(name: str, *, rate: tuple[str, int, int] = RATES[0], **options: object) -> NewJob:
    given = dict(zip(("rate_key", "rate_us", "burst"), rate, strict=True))
    return NewJob(id=name, body=b"{}", task="shop.tasks.send", **(given | options))  # type: ignore[arg-type]


def some_job(dice: random.Random, name: str, now: int) -> NewJob:
    options: dict[str, object] = {"priority": dice.choice((0, 0, 0, 7)), "keep_failed_ms": 10**9}
    kind = dice.choice(("rate", "rate", "rate", "limit", "order", "expires", "due", "plain"))
    if kind == "limit":
        options |= {"limit_key": "l", "limit": dice.choice((1, 2))}
    elif kind == "order":
        options["order_key"] = "o"
    elif kind == "expires":
        options["expires_ms"] = now + dice.choice((5, 20, 60))
    elif kind == "due":
        options["due_ms"] = now + dice.choice((5, 30))
    elif kind == "plain":
        return NewJob(id=name, body=b"{}", task="shop.tasks.send", priority=dice.choice((0, 5)))
    return rated(name, rate=dice.choice(RATES), **options)


@pytest.mark.parametrize("seed", range(60))
def test_histories_of_rates_are_the_model_s(any_queue: Queue, seed: int) -> None:
    dice, model, queue = random.Random(seed), Model(1000), any_queue
    held: list[tuple[str, int]] = []
    for step in range(60):
        queue.now = model.now = model.now + dice.choice((0, 0, 1, 5, 9, 10, 11, 40))
        what = dice.choice(("enqueue", "claim", "claim", "claim", "settle", "settle", "cancel"))
        if what == "enqueue":
            new = [some_job(dice, f"q.{step}.{n}", model.now) for n in range(dice.randint(1, 4))]
            assert [each.is_new for each in queue.enqueue(new)] == [model.enqueue(each)[1] for each in new]
        elif what == "claim":
            count = dice.randint(1, 4)
            expected = model.claim("w", count, 10**6)
            assert [(job.id, job.token) for job in queue.claim("w", count, lease_ms=10**6)] == expected
            held += expected
        elif what == "settle" and held:
            name, token = held.pop(dice.randrange(len(held)))
            how, delay = dice.choice(("succeeded", "retry", "released")), dice.choice((0, 15))
            outcome: Outcome = {
                "succeeded": Succeeded(name, token),
                "retry": Retry(name, token, error_of("builtins.ValueError", ""), delay),
                "released": Released(name, token, delay),
            }[how]
            assert queue.settle("w", [outcome]) == [True]
            model.settle(name, how, delay)
        elif what == "cancel" and model.jobs:
            name = dice.choice(sorted(model.jobs))
            assert queue.cancel(name, "me") == model.cancel(name)
        for job, (name, known) in zip(queue.get_many([*model.jobs]), [*model.jobs.items()], strict=True):
            assert job is not None
            assert (job.state, job.attempt) == (known.state, known.attempt), name
    audit(queue)


def test_whoever_takes_nothing_knows_when_the_next_turn_is(any_queue: Queue) -> None:
    any_queue.enqueue([rated(str(n), rate=("r", 300_000, 1)) for n in range(3)])
    began = time.monotonic()
    taken: list[str] = []
    while len(taken) < 3:
        taken += [job.id for job in any_queue.claim("w", 10, lease_ms=10_000)]
        if len(taken) < 3:
            assert any_queue.wait(5.0), "it is not waited for in vain"
    assert taken == ["0", "1", "2"]
    assert time.monotonic() - began > 0.59


def test_a_turn_that_nobody_watches_is_given_by_the_sweeper(any_queue: Queue) -> None:
    any_queue.now = 1_000_000
    any_queue.enqueue([rated("a"), rated("b"), rated("c")])
    assert len(any_queue.claim("w", 5, lease_ms=10**6)) == 1
    any_queue.client.delete(any_queue.key["turns"], any_queue.key["rates"])
    any_queue.now = 1_001_000
    any_queue.sweep(4)
    assert [job.id for job in any_queue.claim("w", 5, lease_ms=10**6)] == ["b"]
    any_queue.now = 1_100_000
    assert any_queue.client.zcard(any_queue.key["rates"]) == 1
    any_queue.client.delete(any_queue.key["sweeper"])
    any_queue.sweep(4)
    assert any_queue.client.zcard(any_queue.key["rates"]) == 0, "what is paid for is forgotten"
    assert [job.id for job in any_queue.claim("w", 5, lease_ms=10**6)] == ["c"]


def test_who_waits_hears_of_a_turn_that_the_sweeper_has_given(any_queue: Queue) -> None:
    any_queue.enqueue([rated(name, rate=("r", 300_000, 1)) for name in "ab"])
    assert len(any_queue.claim("w", 5, lease_ms=10_000)) == 1
    any_queue.client.delete(any_queue.key["turns"], any_queue.key["marker"])
    any_queue.sweep(4)
    other = Queue(any_queue.client, any_queue.alias, any_queue.name)
    assert other.wait(5.0)
    eventually(lambda: [job.id for job in any_queue.claim("w", 5, lease_ms=10_000)] == ["b"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rate_us": 0}, "without a time between two"),
        ({"burst": 0}, "or a burst"),
        ({"rate_key": "a\0b"}, "a NUL in"),
    ],
)
def test_a_job_that_no_queue_could_keep_to_is_refused(
    any_queue: Queue, options: dict[str, object], says: str
) -> None:
    with pytest.raises(InvalidMessage, match=says):
        any_queue.enqueue([rated("a", **options)])


# -- options


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("10/s", 100_000),
        ("10/m", 6_000_000),
        ("1/30s", 30_000_000),
        ("5000/d", 17_280_000),
        ("3/h", 1_200_000_000),
        ("7/s", 142_858),  # never more than seven
        ("999999999/s", 1),
    ],
)
def test_rates_in_words(text: str, micros: int) -> None:
    assert rate_of(text) == micros


@pytest.mark.parametrize(
    "given", ["10", "10/", "/s", "0/s", "1/0s", "10/w", "-1/s", "1.5/s", 10, ("10", "s"), ""]
)
def test_what_is_no_rate_is_refused_with_its_value(given: object) -> None:
    with pytest.raises(InvalidOption, match="rate is a text such as '10/s'") as caught:
        jobs.add.using(rate=given)  # type: ignore[arg-type]
    assert repr(given) in str(caught.value)


def test_what_a_task_says(mails: Queue, broker: TestServer, settings: Settings) -> None:
    for options, says in (({"burst": 5}, "burst wants a rate"), ({"rate_key": "x"}, "rate_key wants a rate")):
        with pytest.raises(InvalidOption, match=says):
            jobs.add.using(**options).enqueue(1)  # type: ignore[arg-type]
    slow = jobs.add.using(queue_name="mails", rate="10/m")
    job = mails.get(slow.enqueue(1).id)
    assert job is not None
    assert (job.rate_key, job.rate_us, job.burst) == ("tests.taskqueue.jobs.add", 6_000_000, 1)
    job = mails.get(slow.using(rate_key="provider", burst=4).enqueue(1).id)
    assert job is not None
    assert (job.rate_key, job.burst) == ("provider", 4)
    assert len(mails.claim("w", 10, lease_ms=10_000)) == 2, "each key has its own"
    third = slow.enqueue(3)
    assert mails.claim("w", 10, lease_ms=10_000) == []
    waiting = mails.get(third.id)
    assert waiting is not None
    assert (waiting.state, waiting.parked) == (State.READY, "rate")
    assert (mails.counts().ready, mails.counts().waiting) == (1, 1)
    assert mails.cancel(third.id, "me")
    assert mails.counts().ready == 0
