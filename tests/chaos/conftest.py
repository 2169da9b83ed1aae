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


class Playing:
    """The cases of a file. A test's own and those after it are on at once, so that none waits for a place.

    Not the whole file from the start: a test process may have to leave the later tests to another.
    """

    def __init__(self, stage: Stage, plays: dict[str, Play], pool: ThreadPoolExecutor) -> None:
        self._stage = stage
        self._plays = plays
        self._pool = pool
        self._begun: dict[str, Future[Result]] = {}

    def result(self, test: str) -> Result:
        """Of a test's play."""
        names = list(self._plays)
        here = names.index(test)
        for name in names[here : here + AT_A_TIME]:
            if name not in self._begun:
                self._begun[name] = self._pool.submit(self._run, self._plays[name])
        return self._begun[test].result(timeout=80)

    def _run(self, play: Play) -> Result:
        return self._stage.run(
            play.case, rounds=play.rounds, seed=1, variant=play.variant, settle=play.settle
        )


@pytest.fixture(scope="module")
def playing(request: pytest.FixtureRequest) -> Iterator[Playing]:
    """All cases of a file that were asked for, in the order of the tests."""
    plays = {
        item.nodeid: play
        for item in request.session.items
        if item.path == request.path and (play := item.callspec.params.get("play"))
    }
    stage = Stage()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield Playing(stage, plays, pool)
        pool.shutdown(cancel_futures=True)
    stage.close()


@pytest.fixture
def result(request: pytest.FixtureRequest, playing: Playing) -> Result:
    """Of this test's play."""
    return playing.result(request.node.nodeid)
