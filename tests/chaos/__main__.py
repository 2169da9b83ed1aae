"""``python -m tests.chaos --rounds 100 --seed 7``: the long form. Exits with 1 when an invariant is broken."""

import argparse
import json
import shutil
import statistics
import sys
import time
from pathlib import Path

from tests import postgres
from tests.chaos.cases import CASES, LONG, STORM
from tests.chaos.run import Result, Stage

HEAD = (
    "case",
    "faults",
    "published",
    "stored",
    "lost",
    "recorded",
    "twice",
    "phantom",
    "recovery p50",
    "max",
)
WIDTHS = (42, 6, 9, 8, 5, 8, 5, 7, 12, 6)


def main() -> int:
    """The exit code."""
    options = _parse()
    binary = None
    if options.server == "redis":
        binary = Path(shutil.which("redis-server") or "redis-server")
    server = None
    if options.database == "postgresql":
        folder = postgres.binaries()
        if folder is None:
            print("there is no PostgreSQL here", file=sys.stderr)
            return 3
        server = postgres.PostgresServer(folder)
    stage = None
    results: list[Result] = []
    started = time.monotonic()
    try:
        stage = Stage(binary=binary, postgres=server)
        every = (*CASES, *(LONG if options.only else ()), STORM)
        cases = [case for case in every if stage.runs(case) and options.only in case.name]
        _line(HEAD)
        for number, case in enumerate(cases):
            results.append(
                stage.run(case, rounds=options.rounds, seed=options.seed + number, variant=options.variant)
            )
            _show(results[-1], words=options.words)
    finally:
        if stage:
            stage.close()
        if server:
            server.remove()
    _total(results, time.monotonic() - started)
    if options.json:
        facts = {name: getattr(options, name) for name in ("rounds", "seed", "database", "server", "variant")}
        cases_as = [result.as_dict() for result in results]
        options.json.write_text(json.dumps(facts | {"cases": cases_as}, indent=1) + "\n")
    return 0 if all(result.ok for result in results) else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="faults in each case")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--server", choices=("valkey", "redis"), default="valkey")
    parser.add_argument("--only", default="", metavar="TEXT", help="the cases whose name has it")
    parser.add_argument("--variant", default="", help="without one of the safeguards: a name in variants.py")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the result")
    parser.add_argument(
        "--words", action="store_true", help="show what the processes said when something broke"
    )
    return parser.parse_args()


def _line(cells: tuple[object, ...]) -> None:
    first, *rest = zip(cells, WIDTHS, strict=True)
    print(f"{first[0]!s:<{first[1]}}", *(f"{cell!s:>{width}}" for cell, width in rest), flush=True)


def _show(result: Result, *, words: bool) -> None:
    found = result.findings
    p50 = f"{statistics.median(result.recovery):.2f}" if result.recovery else "-"
    most = f"{max(result.recovery):.2f}" if result.recovery else "-"
    _line(
        (result.case, result.faults, found.published, found.stored, found.lost, found.recorded,
         found.duplicated, found.phantom, p50, most)
    )  # fmt: skip
    if result.figures:
        print("   ", ", ".join(f"{name} {value:g}" for name, value in result.figures.items()), flush=True)
    for sentence in found.broken:
        print(f"    BROKEN {sentence}", flush=True)
    if words and result.words:
        print(result.words, file=sys.stderr)


def _total(results: list[Result], seconds: float) -> None:
    found = [result.findings for result in results]
    recovery = [each for result in results for each in result.recovery]
    _line(
        ("in all", sum(result.faults for result in results), sum(each.published for each in found),
         sum(each.stored for each in found), sum(each.lost for each in found),
         sum(each.recorded for each in found), sum(each.duplicated for each in found),
         sum(each.phantom for each in found),
         f"{statistics.median(recovery):.2f}" if recovery else "-",
         f"{max(recovery):.2f}" if recovery else "-")
    )  # fmt: skip
    broken = sum(not result.ok for result in results)
    print(f"{seconds:.0f} s; {broken} of {len(results)} cases broke an invariant")


if __name__ == "__main__":
    sys.exit(main())
