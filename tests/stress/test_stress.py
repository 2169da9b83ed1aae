"""A short form of ``make stress``: each thing goes wrong once, under a crowd that comes and goes."""

import re

import pytest

from messaging.frames import Place
from tests.sites import Database
from tests.stress.run import stress
from tests.stress.truth import Seen, Truth, Written


@pytest.mark.once
@pytest.mark.timeout(180)
def test_every_client_sees_exactly_what_it_should_and_nothing_is_left(database_template: Database) -> None:
    steps = ["kill_redis", "restart_web", "wipe"]
    said: list[str] = []
    report = stress(database_template, steps, crowd=15, pause=0.3, waves=2, seed=1, say=said.append)
    assert report.faults == []
    assert report.connects > report.clients
    assert (
        report.gaps > 0
    )  # the log was wiped once; that each of those who were there was told is one of the faults
    assert report.messages > 1000


A, B = Place("a" * 16, 0, 0), Place("b" * 16, 0, 0)


def message(place: Place, number: int) -> Seen:
    return Seen("message", place._replace(ms=number), number)


@pytest.mark.parametrize(
    ("seen", "fault"),
    [
        ([message(A, 1), message(A, 2), message(A, 3)], "ends at 3 of"),
        ([message(A, 1), message(A, 3), Seen("gap", B), message(B, 1)], "instead of"),
        ([message(A, 1), message(A, 1), Seen("gap", B), message(B, 1)], "instead of"),
        ([message(A, 1), Seen("at", A._replace(ms=3)), Seen("gap", B), message(B, 1)], "passes 2 messages"),
        ([message(A, 1), message(B, 1)], "instead of|another log without a word"),
        ([message(A, 1), Seen("gap", A), Seen("gap", B), message(B, 1)], "2 gaps"),
        ([message(A, 1), message(A, 2)._replace(number=3), Seen("gap", B), message(B, 1)], "instead of"),
        ([], "ends at"),
    ],
)
def test_the_judge_sees_what_is_wrong(seen: list[Seen], fault: str) -> None:
    truth = Truth(
        {A.epoch: [Written((n, 0), "c", n) for n in (1, 2, 3)], B.epoch: [Written((1, 0), "c", 1)]},
        current=B.epoch,
        wipes=1,
    )
    assert truth.faults(("c",), [Seen("start", A), message(A, 1), Seen("gap", B), message(B, 1)]) == []
    found = truth.faults(("c",), [Seen("start", A), *seen])
    assert any(re.search(fault, each) for each in found), found
