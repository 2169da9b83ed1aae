"""The short form: each case with each of its faults once. `make chaos` is the long one."""

import pytest

from tests.chaos.cases import CASES
from tests.chaos.conftest import Play
from tests.chaos.run import Result

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize(
    "play",
    [
        pytest.param(Play(case, len(case.faults)), id=case.name)
        for case in CASES
        if case.short and case.database != "postgresql"
    ],
)
def test_nothing_is_lost(play: Play, result: Result) -> None:
    assert result.ok, f"{play.case.name}: {result.findings.broken}\n{result.words}"
    assert result.findings.stored > 0
