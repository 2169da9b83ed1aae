"""The circuit breaker: one pause for all after a failure, one caller to try, and it ends with the first answer."""

import logging
from types import SimpleNamespace

import pytest
from pytest_django import Settings

from messaging.breaker import Breaker
from messaging.errors import BrokerUnavailable


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Clock:
    settings.MESSAGING = {
        "URL": "redis://:secret@broker:6379/0",
        "BREAKER_SECONDS": 1.0,
        "BREAKER_MAX_SECONDS": 10.0,
    }
    made = Clock()
    monkeypatch.setattr("messaging.breaker.time", SimpleNamespace(monotonic=made))
    monkeypatch.setattr("messaging.breaker.random", SimpleNamespace(uniform=lambda low, high: 1.0))
    return made


def is_refused(breaker: Breaker) -> bool:
    try:
        breaker.check()
    except BrokerUnavailable:
        return True
    return False


def test_while_redis_answers_everyone_may_try(clock: Clock) -> None:
    breaker = Breaker()
    breaker.succeeded()
    assert not is_refused(breaker)
    assert not breaker.is_open


def test_after_a_failure_nobody_may_until_the_pause_is_over_and_then_one(clock: Clock) -> None:
    breaker = Breaker()
    breaker.failed(ConnectionError("gone"))
    assert breaker.is_open
    clock.now += 0.9
    assert is_refused(breaker)
    clock.now += 0.2
    assert not is_refused(breaker)  # this one tries
    assert is_refused(breaker)  # the others wait for its result


def test_the_refusal_says_where_and_why_and_no_password(clock: Clock) -> None:
    breaker = Breaker()
    breaker.failed(ConnectionError("gone"))
    with pytest.raises(BrokerUnavailable) as caught:
        breaker.check()
    assert (
        str(caught.value)
        == "Redis at redis://:***@broker:6379/0 did not answer and is left alone for 1.0 s: gone"
    )
    assert not caught.value.maybe_sent


def test_the_pause_doubles_with_each_failed_trial_up_to_its_bound(clock: Clock) -> None:
    breaker = Breaker()
    pauses = []
    breaker.failed(ConnectionError())
    for _ in range(7):
        began = clock.now
        while is_refused(breaker):
            clock.now += 0.25
        pauses.append(clock.now - began)
        breaker.failed(ConnectionError())
    assert pauses == [1, 2, 4, 8, 10, 10, 10]


def test_many_that_fail_together_are_one_failure(clock: Clock) -> None:
    breaker = Breaker()
    for _ in range(50):
        breaker.failed(ConnectionError())
    clock.now += 1.1
    assert not is_refused(breaker)


def test_a_trial_whose_result_never_comes_does_not_keep_it_open(clock: Clock) -> None:
    breaker = Breaker()
    breaker.failed(ConnectionError())
    clock.now += 1.1
    assert not is_refused(breaker)  # and is killed
    clock.now += 1.1
    assert not is_refused(breaker)


def test_the_first_answer_closes_it(clock: Clock) -> None:
    breaker = Breaker()
    breaker.failed(ConnectionError())
    clock.now += 1.1
    breaker.check()
    breaker.succeeded()
    assert not is_refused(breaker)
    breaker.failed(ConnectionError())
    clock.now += 1.1
    assert not is_refused(breaker)  # the pause is as short as at first


def test_an_outage_is_logged_when_it_begins_and_when_it_is_over(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    breaker = Breaker()
    with caplog.at_level(logging.INFO, "messaging.publish"):
        for _ in range(20):
            breaker.failed(ConnectionError("gone"))
            clock.now += 20
            is_refused(breaker)
        breaker.succeeded()
        breaker.succeeded()
    assert [record.getMessage() for record in caplog.records] == [
        "Redis at redis://:***@broker:6379/0 is unavailable, publishing fails fast: gone",
        "Redis at redis://:***@broker:6379/0 answers again",
    ]
