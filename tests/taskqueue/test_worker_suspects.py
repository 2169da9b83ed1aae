"""Tasks that have lost workers wait in line, so that one that kills does not take the others with it to the dead."""

import time
from typing import cast

import pytest

from messaging.taskqueue.job import Attempt, Claimed, State
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.worker import messages
from messaging.taskqueue.worker.held import Held
from messaging.taskqueue.worker.suspects import PATIENCE, Suspects, is_suspect, patience


def claimed(name: str, crashes: int = 2, max_crashes: int = 3, released: int = 0) -> Claimed:
    attempts = (Attempt("w", 0, 1, "released"),) * released
    return Claimed(
        id=name,
        token=1,
        state=State.RUNNING,
        task="t",
        crashes=crashes,
        max_crashes=max_crashes,
        attempts=attempts,
    )


def held(name: str, crashes: int = 2) -> Held:
    return Held(cast(Queue, None), claimed(name, crashes))


@pytest.mark.parametrize(
    ("crashes", "most", "suspect"), [(0, 3, False), (1, 3, False), (2, 3, True), (1, 1, True), (0, 0, False)]
)
def test_who_is_a_suspect(crashes: int, most: int, suspect: bool) -> None:
    assert is_suspect(claimed("x", crashes, most)) is suspect


def test_one_suspect_runs_and_the_others_wait_until_its_outcome_is_settled() -> None:
    told: list[messages.FromProcess] = []
    line = Suspects(told.append)
    fresh, first, second, third = held("fresh", 0), held("first"), held("second"), held("third")
    assert line.aside([fresh, first, second, third]) == [fresh, first]
    assert told == [messages.Waits([("second", 1), ("third", 1)])]
    assert line.following() is None
    first.ended = True
    assert line.following() is None
    line.settled([fresh])
    assert line.following() is None
    line.settled([first])
    assert line.following() is second
    assert told[-1] == messages.Begins(("second", 1))
    assert line.aside([held("fourth")]) == []


def test_nobody_waits_for_ever_in_one_line() -> None:
    line = Suspects(lambda message: None)
    first, second = held("first"), held("second")
    line.aside([first, second])
    assert line.leaving(all_of_them=False) == []
    second.since = time.monotonic() - PATIENCE - 1
    assert line.leaving(all_of_them=False) == [second]
    assert not line


def test_patience_grows_with_each_line() -> None:
    assert [patience(claimed("x", released=count)) for count in (0, 1, 2, 10)] == [2.0, 4.0, 8.0, 60.0]
