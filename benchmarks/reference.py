"""The results in ``reference/``, one file for each command -> ``README.md`` here, so that no figure there is typed.

python -m benchmarks --output benchmarks/reference/redis.json      and so on, then
python -m benchmarks.reference
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import page, table
from benchmarks.live import table as live
from benchmarks.result import Result
from benchmarks.tasks import table as tasks

HERE = Path(__file__).resolve().parent
PAGE = HERE / "README.md"


class Part(NamedTuple):
    """A command, what it measures, and how its results are shown."""

    file: str
    command: str
    says: str
    show: Callable[[Mapping[str, Any]], str]


def _ratios(kept: Mapping[str, Any]) -> str:
    names = Result.__dataclass_fields__
    return table.table([Result(**{name: each[name] for name in names}) for each in kept["figures"]])


def _live(kept: Mapping[str, Any]) -> str:
    return live.table(kept["figures"])


def _page(kept: Mapping[str, Any]) -> str:
    return page.table([page.Figure(**each) for each in kept["figures"]])


def _tasks(kept: Mapping[str, Any]) -> str:
    return tasks.table(kept["figures"])


PARTS = (
    Part(
        "redis", "make bench", "Messages, each figure beside the raw call of redis-py, or raw SQL.", _ratios
    ),
    Part("live", "make bench-live", "Streams of one process, beside other servers.", _live),
    Part("page", "make bench-page", "The live page in Chromium.", _page),
    Part("tasks", "make bench-tasks", "20,000 tasks that do nothing, one worker process.", _tasks),
)
HEAD = """# Figures

Measured by the commands below, each in one go, and written here by `python -m benchmarks.reference`. A ratio holds on
other machines, a number a second does not. `MISSED` is a bound that this project set itself and has not reached here.
"""


def render() -> str:
    """The page, from the files that are there."""
    found = [HEAD]
    for part in PARTS:
        file = HERE / "reference" / f"{part.file}.json"
        if not file.exists():
            continue
        kept = json.loads(file.read_text())
        found += [f"## `{part.command}`", "", part.says + " " + _where(kept["machine"]), ""]
        found += ["```", part.show(kept), "```", ""]
    return "\n".join(found)


def _where(machine: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}; "
        f"Python {machine['python']}, {packages}."
    )


if __name__ == "__main__":
    PAGE.write_text(render())
    print(f"written: {PAGE.name}", file=sys.stderr)
