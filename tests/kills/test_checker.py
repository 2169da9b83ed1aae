"""The judge of the killed workers is judged: it sees each kind of broken promise, and excuses what a kill excuses."""

from pathlib import Path

import pytest

from tests.kills.checker import Claim, Findings, check
from tests.kills.ledger import Death, Execution, read

KILLED = Death(pid=1, at=10.0, until=10.01, how="child")


def judged(*executions: Execution, state: str = "succeeded", poison: tuple[int, ...] = ()) -> Findings:
    return check(executions, [KILLED], {7: state}, poison=poison)


def test_a_task_that_ran_once_is_fine() -> None:
    assert judged(Execution(7, 2, 9.0, 9.5)).broken == []


def test_a_task_that_did_not_end_is_lost() -> None:
    assert judged(Execution(7, 2, 9.0), state="running").lost == 1
    assert judged(Execution(7, 2, 9.0, 9.1), state="dead").lost == 1
    assert judged(state="succeeded").lost == 1  # nobody ran it
    assert judged(Execution(7, 1, 9.9), state="succeeded").lost == 1  # nobody ran it to its end


def test_a_task_that_kills_has_to_end_dead() -> None:
    assert judged(Execution(7, 1, 9.9), state="dead", poison=(7,)).broken == []
    assert judged(Execution(7, 1, 9.9), state="succeeded", poison=(7,)).lost == 1


def test_a_kill_inside_a_task_excuses_one_more_execution() -> None:
    found = judged(Execution(7, 1, 9.0), Execution(7, 2, 10.5, 10.6))
    assert (found.broken, found.repeated) == ([], 1)


def test_so_does_one_before_the_acknowledgement_but_not_long_after_it() -> None:
    assert judged(Execution(7, 1, 9.0, 9.999), Execution(7, 2, 10.5, 10.6)).broken == []
    assert judged(Execution(7, 1, 2.0, 2.5), Execution(7, 2, 10.5, 10.6)).unexcused == 1


def test_a_repetition_without_a_kill_is_no_accident() -> None:
    assert judged(Execution(7, 2, 9.0, 9.1), Execution(7, 3, 10.5, 10.6)).unexcused == 1


def test_a_failure_that_the_task_wanted_is_repeated_without_one() -> None:
    executions = [Execution(7, 2, 9.0, 9.1), Execution(7, 3, 9.5, 9.6)]
    assert check(executions, [], {7: "succeeded"}, failing={7: 1}).broken == []


def test_two_at_the_same_time_are_seen() -> None:
    assert judged(Execution(7, 1, 9.0), Execution(7, 2, 9.5, 9.6)).overlapping == 1


@pytest.mark.parametrize(
    ("how", "again", "is_fine"),
    [("child", 10.9, True), ("child", 11.1, False), ("machine", 29.9, True), ("machine", 30.1, False)],
)
def test_a_slow_recovery_is_broken(how: str, again: float, is_fine: bool) -> None:
    claims = [Claim(1, 9.0, "lost"), Claim(2, again, "succeeded")]
    executions = [Execution(7, 1, 9.0), Execution(7, 2, again, again)]
    found = check(executions, [Death(1, 10.0, 10.0, how)], {7: "succeeded"}, claims={7: claims})
    assert found.recovery[how] == [pytest.approx(again - 10.0)]
    assert (found.broken == []) == is_fine


@pytest.mark.parametrize(
    ("how", "kills", "lost"), [("child", 2, 1), ("child", 3, 0), ("suicide", 3, 1), ("suicide", 5, 1)]
)
def test_a_dead_letter_is_excused_by_our_own_kills_alone(how: str, kills: int, lost: int) -> None:
    claims = [Claim(pid, float(pid), "lost") for pid in range(1, 6)]
    deaths = [Death(pid, pid + 0.5, pid + 0.5, how if pid <= kills else "suicide") for pid in range(1, 6)]
    executions = [Execution(7, pid, float(pid)) for pid in range(1, 6)]
    found = check(executions, deaths, {7: "dead"}, claims={7: claims})
    assert (found.lost, len(found.worn_out)) == (lost, 1 - lost)


def test_the_ledger_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_text("began 7 1 9.0\nended 7 1 9.5\nbegan 8 1 9.6\ndying 8 1 9.7\n")
    executions, deaths = read(path)
    assert executions == [Execution(7, 1, 9.0, 9.5), Execution(8, 1, 9.6)]
    assert [(death.pid, death.at, death.how) for death in deaths] == [(1, 9.7, "suicide")]


def test_a_frozen_process_excuses_what_others_ran_meanwhile_and_what_it_begins_when_it_wakes() -> None:
    frozen = Death(1, 10.0, 27.0, "pause")
    inside = [Execution(7, 1, 9.9, 26.1), Execution(7, 2, 23.0, 23.1)]
    before_its_first_line = [Execution(7, 2, 23.0, 23.1), Execution(7, 1, 26.0, 26.1)]
    for executions in (inside, before_its_first_line):
        found = check(executions, [frozen], {7: "succeeded"})
        assert (found.broken, found.repeated) == ([], 1)
    long_after = [Execution(7, 2, 23.0, 23.1), Execution(7, 1, 28.0, 28.1)]
    assert check(long_after, [frozen], {7: "succeeded"}).unexcused == 1
