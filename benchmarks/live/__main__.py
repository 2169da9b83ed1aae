"""Command line -> the table on stdout, JSON in a file, 1 when a figure of ours misses its bound."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from benchmarks.live.bounds import BOUNDS
from benchmarks.live.eventstream import eventstream
from benchmarks.live.figures import Figures, of_any, of_ours
from benchmarks.live.nchan import nchan
from benchmarks.live.server import Missing, Server
from benchmarks.live.table import table, verdict
from benchmarks.machine import machine
from benchmarks.stage import Stage, stage

RESULTS = Path(__file__).resolve().parent.parent / "results"
YARDSTICKS: dict[str, Callable[[Path], AbstractContextManager[Server]]] = {
    "nchan": nchan,
    "eventstream": eventstream,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.live", description="Measure the live streams, beside other servers."
    )
    parser.add_argument("--quick", action="store_true", help="one round, less exact")
    parser.add_argument("--alone", action="store_true", help="without the other servers")
    parser.add_argument("--output", type=Path, help="the JSON file (default: one in benchmarks/results/)")
    options = parser.parse_args(arguments)

    figures: dict[str, Figures] = {}
    left_out: list[str] = []
    with stage(with_postgresql=False, quick=options.quick) as ready:
        _ours(ready, figures.setdefault("this", {}))
        for name, server in {} if options.alone else YARDSTICKS.items():
            try:
                _yardstick(name, server, ready, figures)
            except Missing as error:
                left_out.append(f"{name}: {error}")
            except Exception as error:  # whatever another server does, our figures stand
                left_out.append(f"the rest of {name}: {error}")
    print(table(figures))
    for each in left_out:
        print(f"\nNOT MEASURED  {each}")
    _keep(figures, left_out, options.output, quick=options.quick)
    return 1 if any(verdict(name, figures["this"].get(name)) == "MISSED" for name in BOUNDS) else 0


def _ours(ready: Stage, found: Figures) -> None:
    from benchmarks.live.ours import ours  # needs the Django that the stage has set up

    with ours(ready) as (server, process):
        of_ours(server, process, found, quick=ready.quick, say=partial(_say, "this"))


def _yardstick(
    name: str,
    server: Callable[[Path], AbstractContextManager[Server]],
    ready: Stage,
    figures: dict[str, Figures],
) -> None:
    with server(ready.directory / name) as running:
        of_any(running, figures.setdefault(name, {}), quick=ready.quick, say=partial(_say, name))


def _say(name: str, what: str) -> None:
    print(f"{name}: {what} ...", file=sys.stderr, flush=True)


def _keep(figures: dict[str, Figures], left_out: list[str], output: Path | None, *, quick: bool) -> None:
    if output is None:
        RESULTS.mkdir(exist_ok=True)
        output = RESULTS / time.strftime("live-%Y%m%d-%H%M%S.json")
    verdicts = {name: verdict(name, figures["this"].get(name)) for name in BOUNDS}
    kept = {
        "machine": machine(),
        "quick": quick,
        "figures": figures,
        "verdicts": verdicts,
        "left_out": left_out,
    }
    output.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
