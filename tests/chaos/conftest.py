"""The stage of the short form: the bundled server and SQLite. Most of a case is waiting, so five are on at a time."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import pytest

from tests.chaos.cases import Case
from tests.chaos.run import SETTLE_SECONDS, Result, Stage

AT_A_TIME = 5


class Play(NamedTuple):
    """What a test has as its parameter ``play``; it gets the outcome from the fixture ``result``."""

    case: Case
    rounds: int
    variant: str = ""
    settle: float = SETTLE_SECONDS


@pytest.fixture(scope="module")
def plays(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Result]]]:
    """All cases of a file that were asked for, begun in the order of the tests."""
    tests = [item for item in request.session.items if item.path == request.path]
    stage = Stage()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {
            item.nodeid: pool.submit(
                stage.run, play.case, rounds=play.rounds, seed=1, variant=play.variant, settle=play.settle
            )
            for item in tests
            if (play := item.callspec.params.get("play"))
        }
        pool.shutdown(cancel_futures=True)
    stage.close()


@pytest.fixture
def result(request: pytest.FixtureRequest, plays: dict[str, Future[Result]]) -> Result:
    """Of this test's play."""
    return plays[request.node.nodeid].result(timeout=80)
