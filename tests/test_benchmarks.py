"""The benchmark command: it measures, prints its table, keeps its JSON, and its status says what was missed."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from benchmarks import reference
from benchmarks.__main__ import MEASURED_BY
from benchmarks.bounds import BOUNDS
from benchmarks.result import Result, alternate, not_measured, ratio_of
from benchmarks.table import table
from tests.processes import ROOT, plain_environment, python

pytestmark = pytest.mark.once


def test_every_figure_has_a_bound_and_a_function_that_measures_it() -> None:
    assert list(MEASURED_BY) == list(BOUNDS)
    for name in MEASURED_BY.values():
        module, _, function = name.partition(".")
        assert (ROOT / "benchmarks" / f"{module}.py").is_file(), name
        assert f"\ndef {function}(" in (ROOT / "benchmarks" / f"{module}.py").read_text(), name


@pytest.mark.timeout(180)
def test_the_command_measures_figures_and_keeps_them(tmp_path: Path) -> None:
    asked = ["publish_many", "relay_sqlite", "frame_delay"]
    output = tmp_path / "results.json"
    names = [argument for name in asked for argument in ("--only", name)]
    done = subprocess.run(
        python("-m", "benchmarks", "--quick", "--output", str(output), *names),
        cwd=ROOT,
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=160,
    )
    assert done.returncode in (0, 1), done.stderr  # how fast this machine is now is no business of a test
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["figure", "measured", "raw", "ratio", "bound", "ok"]
    kept = json.loads(output.read_text())
    figures = {figure["figure"]: figure for figure in kept["figures"]}
    assert list(figures) == [*asked, "frame_hop"]  # which is measured with the frame's delay
    for name, figure in figures.items():
        (line,) = [line for line in lines if line.startswith(f"{name} ")]
        assert figure["verdict"] in line
        assert figure["ours"] > 0
        assert figure["plain"] > 0
        assert 0.01 < figure["ratio"] < 1000
        assert f"{figure['ratio']:.2f}" in line
    missed = any(figure["verdict"] == "MISSED" for figure in figures.values())
    assert done.returncode == (1 if missed else 0)
    assert kept["quick"] is True
    assert {"processor", "cores", "python", "packages"} <= set(kept["machine"])
    assert not re.search(r"/(home|root|tmp|Users)/", output.read_text())


def test_one_figure_can_be_asked_for_by_name() -> None:
    done = subprocess.run(
        python("-m", "benchmarks", "--only", "no_such_figure"),
        cwd=ROOT,
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "publish_many" in done.stderr


def result(figure: str, ratio: float) -> Result:
    return Result(figure, ours=12.0, plain=12.0 * ratio, unit="us", ratio=ratio)


def test_a_speed_has_to_reach_its_bound() -> None:
    assert result("publish", 1.0).verdict == "ok"
    assert result("publish", 0.99).verdict == "MISSED"


def test_a_time_must_not_exceed_its_bound() -> None:
    assert result("frame_delay", 1.5).verdict == "ok"
    assert result("frame_delay", 1.51).verdict == "MISSED"


def test_what_was_not_measured_is_no_pass() -> None:
    row = not_measured("relay_postgresql", "no PostgreSQL")
    assert row.verdict == "not measured"
    assert "not measured: no PostgreSQL" in table([row])
    assert row.as_json()["ratio"] is None


def test_a_row_says_figure_measured_raw_ratio_bound_and_ok() -> None:
    line = table([result("publish_many", 2.0)]).splitlines()[2]
    assert line.split() == ["publish_many", "12.0", "us", "24.0", "us", "2.00", ">=", "0.9", "ok"]


def test_both_ways_take_turns() -> None:
    calls: list[str] = []

    def ours() -> float:
        calls.append("ours")
        return 2.0

    def plain() -> float:
        calls.append("plain")
        return 3.0

    mine, theirs = alternate(ours, plain, rounds=3)
    assert calls == ["ours", "plain", "plain", "ours", "ours", "plain"]
    assert (mine, theirs) == ([2.0] * 3, [3.0] * 3)
    assert ratio_of(theirs, mine) == 1.5


def test_the_page_of_figures_is_rendered_from_the_results_that_were_kept() -> None:
    assert reference.PAGE.read_text() == reference.render()
    assert any((reference.HERE / "reference").glob("*.json"))
