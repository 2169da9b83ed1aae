"""A case counts only if it fails: each safeguard is taken away, and the checker has to say what that breaks.

Two take too long for here: ``make chaos CHAOS="--only '50 threads' --variant no_breaker"`` (I8) and ``--only 'falls
silent' --variant no_probe`` (I7).
"""

from dataclasses import replace

import pytest

from tests.chaos import cases
from tests.chaos.conftest import Play
from tests.chaos.run import Result

pytestmark = [pytest.mark.chaos, pytest.mark.once]  # what is proven is the harness


def without(variant: str, case: str, rounds: int = 1, **world: object) -> Play:
    found = cases.named(case)
    return Play(replace(found, world={**found.world, **world}), rounds, variant, settle=2.5)


@pytest.mark.parametrize(
    ("play", "law"),
    [
        (without("no_compare_and_set", "freeze the listener past its lease"), "I5"),
        (without("no_conflict_clause", "cut before the reply", direct=1.0), "I3"),
        (without("ignore_conflicts", "kill a writer"), "I7"),
        (without("no_continuity", "FLUSHALL while the listener is down"), "I9"),
        (without("no_sweeper", "kill a writer between COMMIT and send"), "I7"),
        (without("settled_by_ok", "FLUSHALL while the listener is down"), "I1"),
        (without("no_barrier", "listener down for long"), "I3"),
        (without("acknowledged_before_stored", "kill the listener", direct=1.0), "I1"),
        (without("sent_before_commit", "SCRIPT FLUSH"), "I2"),
        (without("unordered", "ordered, FLUSHALL", 2), "I4"),
        (without("batch_dropped", "disk full for the database", direct=1.0), "I1"),
        (without("bad_entry_stops", "bad input"), "I7"),
        (without("bad_entry_dropped", "bad input"), "I10"),
    ],
    ids=lambda value: value.variant if isinstance(value, Play) else value,
)
def test_without_it_the_case_fails(play: Play, law: str, result: Result) -> None:
    broken = result.findings.broken
    assert any(sentence.startswith(law) for sentence in broken), f"{play.variant}: {broken}"
