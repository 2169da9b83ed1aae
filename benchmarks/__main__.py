"""Command line -> the table on stdout, JSON in a file, 1 when a figure misses its bound."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.bounds import BOUNDS
from benchmarks.machine import machine
from benchmarks.result import Result
from benchmarks.stage import stage
from benchmarks.table import table

RESULTS = Path(__file__).resolve().parent / "results"

# Figure -> the function that measures it; imported only once Django is set up.
MEASURED_BY = {
    "publish": "publish_one.measure",
    "publish_many": "publish_batch.measure",
    "relay_sqlite": "relay_rows.measure_sqlite",
    "relay_postgresql": "relay_rows.measure_postgresql",
    "tutorial_sqlite": "tutorial_loop.measure_sqlite",
    "tutorial_postgresql": "tutorial_loop.measure_postgresql",
    "frame_delay": "frame_delay.measure",
    "frame_hop": "frame_delay.measure",
    "transaction_sqlite": "transaction_cost.measure_sqlite",
    "transaction_postgresql": "transaction_cost.measure_postgresql",
    "standby": "standby.measure",
    "catch_up": "catch_up.measure",
    "request_delay": "request_delay.measure",
    "queue_core": "queue_core.measure",
    "tasks_sync": "task_rate.measure_sync",
    "tasks_async": "task_rate.measure_async",
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure, each figure as a ratio."
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds: under 40 seconds, less exact")
    parser.add_argument(
        "--only",
        action="append",
        choices=sorted(BOUNDS),
        metavar="NAME",
        help="this figure (repeatable): " + " ".join(BOUNDS),
    )
    parser.add_argument("--output", type=Path, help="the JSON file (default: one in benchmarks/results/)")
    options = parser.parse_args(arguments)
    names = [name for name in BOUNDS if not options.only or name in options.only]

    began = time.monotonic()
    results: list[Result] = []
    with stage(with_postgresql=any("postgresql" in name for name in names), quick=options.quick) as ready:
        for measured_by in dict.fromkeys(MEASURED_BY[name] for name in names):
            print(f"measuring {measured_by} ...", file=sys.stderr, flush=True)
            module, _, function = measured_by.partition(".")
            results += getattr(importlib.import_module(f"benchmarks.{module}"), function)(ready)
    print(table(results))
    print(f"\nmeasured in {time.monotonic() - began:.0f} s")
    _keep(results, options.output, quick=options.quick)
    return 0 if all(result.verdict != "MISSED" for result in results) else 1


def _keep(results: Sequence[Result], output: Path | None, *, quick: bool) -> None:
    if output is None:
        RESULTS.mkdir(exist_ok=True)
        output = RESULTS / time.strftime("%Y%m%d-%H%M%S.json")
    kept = {"machine": machine(), "quick": quick, "figures": [result.as_json() for result in results]}
    output.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
