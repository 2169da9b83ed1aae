"""A case counts only if it fails: each safeguard is taken away, and the checker has to say what that breaks."""

import pytest

from tests.chaos import cases
from tests.chaos.run import Stage

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize(
    ("variant", "case", "law"),
    [
        ("no_compare_and_set", "freeze the listener past its lease", "I5"),
        ("no_conflict_clause", "cut before the reply", "I3"),
        ("ignore_conflicts", "kill a writer", "I7"),
        ("no_continuity", "FLUSHALL while the listener is down", "I9"),
        ("no_sweeper", "kill a writer between COMMIT and send", "I7"),
        ("settled_by_ok", "FLUSHALL while the listener is down", "I1"),
        ("acknowledged_before_stored", "kill the listener", "I1"),
        ("sent_before_commit", "SCRIPT FLUSH", "I2"),
        ("bad_entry_stops", "bad input", "I7"),
    ],
)
def test_without_it_the_case_fails(stage: Stage, variant: str, case: str, law: str) -> None:
    result = stage.run(cases.named(case), rounds=2, seed=1, variant=variant, settle=4.0)
    assert any(sentence.startswith(law) for sentence in result.findings.broken), result.findings
