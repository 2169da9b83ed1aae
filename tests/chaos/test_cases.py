"""The short form: each case once or twice. `make chaos` is the long one."""

import pytest

from tests.chaos.cases import CASES, Case
from tests.chaos.run import Stage

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize(
    "case", [each for each in CASES if each.database != "postgresql"], ids=lambda case: case.name
)
def test_nothing_is_lost(stage: Stage, case: Case) -> None:
    result = stage.run(case, rounds=len(case.faults), seed=1)
    assert result.ok, f"{result.findings.broken}\n{result.words}"
    assert result.findings.stored > 0
