"""The benchmark beside other task queues: it measures ours, its verdicts, its choice, its comparison."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks.tasks import contest as contests
from benchmarks.tasks.bounds import BOUNDS, verdict
from benchmarks.tasks.clocking import Round
from benchmarks.tasks.contender import Contender, Failed, Setting
from benchmarks.tasks.contest import Contest, Size
from benchmarks.tasks.stamps import VARIABLE, Stamps, stamping
from benchmarks.tasks.table import notes, table
from tests.processes import ROOT, plain_environment, python

pytestmark = pytest.mark.once


def test_the_command_measures_ours_and_keeps_it(tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    done = subprocess.run(
        python("-m", "benchmarks.tasks", "--alone", "--quick", "--tasks", "100", "--output", str(output)),
        cwd=ROOT,
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=80,
    )
    assert done.returncode in (0, 1), done.stderr  # how fast this machine is now is no business of a test
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["figure", "this", "bound", "ok"]
    kept = json.loads(output.read_text())
    figures = kept["figures"]["this"]
    assert figures["safe"] == 100, kept["wrong"]
    assert figures["beside"] is None
    assert all(figures[name] > 0 for name in BOUNDS if name not in ("beside", "worker_cpu", "server_cpu"))
    assert done.returncode == (1 if "MISSED" in kept["verdicts"].values() else 0)
    for name, said in kept["verdicts"].items():
        assert any(line.startswith(BOUNDS[name].says) and line.endswith(said) for line in lines), name
    assert not re.search(r"/(home|root|tmp|Users)/", output.read_text())


def test_a_figure_that_misses_its_bound_says_so_and_one_that_was_not_measured_is_no_pass() -> None:
    assert verdict("consume", 8000.0) == "ok"
    assert verdict("consume", 7999.0) == "MISSED"
    assert verdict("memory", 70.1) == "MISSED"
    assert verdict("safe", 0.0) == "MISSED"
    assert verdict("beside", None) == "not measured"
    assert verdict("worker_cpu", 1.0) == ""


def test_a_task_that_runs_leaves_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "stamps"
    stamps = Stamps.fresh(file, 3)
    monkeypatch.setenv(VARIABLE, str(file))
    stamp = stamping()
    stamp()
    stamp()
    assert stamps.ran() == 2
    assert 0 < stamps.places[0] <= stamps.places[1]
    assert stamps.places[2] == 0
    stamps.close()


# -- the contest, with rounds that are made up


def contender(name: str, *rates: float, safe: bool = True) -> tuple[Contender, dict[str, float]]:
    settings = tuple(Setting(f"setting {number}") for number in range(len(rates)))
    made: Any = Contender(name, settings, f"what {name} is", safe, *[never] * 4)
    return made, {setting.says: rate for setting, rate in zip(settings, rates, strict=True)}


def never(*_: object) -> Any:
    raise AssertionError("rounds are made up")


def held(
    monkeypatch: pytest.MonkeyPatch,
    *those: tuple[Contender, dict[str, float]],
    fails: str = "",
    wrong: str = "",
    seconds: float = 60,
) -> tuple[Contest, list[str]]:
    rates = {one.name: by_setting for one, by_setting in those}
    turns: list[str] = []

    def clocked(one: Contender, setting: Setting, ground: object, *, count: int) -> Round:
        if one.name == fails:
            raise Failed(f"{one.name} did not do its tasks")
        if count == 2000:
            turns.append(one.name)
        return Round(rates[one.name][setting.says], 1, 1, 1, 1, 1, 0.0 if wrong else 100.0, wrong)

    monkeypatch.setattr(contests, "clocked", clocked)
    ground: Any = None
    contest = Contest(ground, Size(rounds=2, count=2000, trial=300, seconds=seconds), say=lambda what: None)
    contest.hold([one for one, _ in those])
    return contest, turns


def test_each_runs_with_its_fastest_setting_and_is_compared_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    contest, turns = held(
        monkeypatch,
        contender("this", 900.0, 1000.0),
        contender("slow", 100.0, 50.0),
        contender("fast", 200.0, 250.0, safe=False),
    )
    assert turns == ["this", "slow", "fast", "slow", "fast", "this"]
    assert {name: setting.says for name, setting in contest.chosen.items()} == {
        "this": "setting 1",
        "slow": "setting 0",
        "fast": "setting 1",
    }
    assert contest.figures["slow"]["beside"] == 10
    assert contest.figures["this"]["beside"] == contest.figures["fast"]["beside"] == 4
    assert contest.figures["fast"]["safe"] is None  # it acknowledges nothing
    lines = table(contest.figures).splitlines()
    (line,) = [line for line in lines if line.startswith(BOUNDS["consume"].says)]
    assert line.removeprefix(BOUNDS["consume"].says).split() == [
        *("1,000", "/s", "100", "/s", "250", "/s"),
        *(">=", "8,000", "MISSED"),
    ]
    said = notes(contest, {"fast": "1.2"})
    assert "fast 1.2: setting 1. what fast is\n    tried in short, 250/s; slower: setting 0: 200/s" in said


def test_a_peer_that_fails_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    contest, _ = held(monkeypatch, contender("this", 900.0), contender("broken", 1.0), fails="broken")
    assert list(contest.figures) == ["this"]
    assert "NOT MEASURED  broken did not do its tasks" in notes(contest, {})
    assert contest.figures["this"]["beside"] is None


def test_a_failure_of_ours_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Failed):
        held(monkeypatch, contender("this", 900.0), fails="this")


def test_tasks_that_were_not_done_well_are_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    contest, _ = held(monkeypatch, contender("this", 9000.0), wrong="3 runs of 4 tasks")
    assert verdict("safe", contest.figures["this"]["safe"]) == "MISSED"
    assert "WRONG  this: 3 runs of 4 tasks" in notes(contest, {})


def test_no_round_begins_that_would_take_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    contest, turns = held(monkeypatch, contender("this", 900.0), seconds=0)
    assert turns == ["this"]
    assert len(contest.rounds["this"]) == 1
