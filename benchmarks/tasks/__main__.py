"""Command line -> the table on stdout, JSON in a file, 1 when a figure of ours misses its bound."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import redis

from benchmarks.machine import machine
from benchmarks.stage import Stage, stage
from benchmarks.tasks.bounds import BOUNDS, verdict
from benchmarks.tasks.contender import Ground
from benchmarks.tasks.contest import Contest, Size
from benchmarks.tasks.peers import NAMES, peers
from benchmarks.tasks.table import notes, table

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PEERS = ROOT / ".venv-peers" / "bin" / "python"  # made by `make bench-tasks`

WHOLE = Size(rounds=5, count=20_000, trial=1500, seconds=420)
QUICK = Size(rounds=1, count=4000, trial=0, seconds=60)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    size = QUICK if options.quick else WHOLE
    size = replace(size, rounds=options.rounds or size.rounds, count=options.tasks or size.count)
    began, load = time.monotonic(), os.getloadavg()[0]
    with stage(with_postgresql=False, quick=options.quick) as ready:
        contest = _held(ready, size, [] if options.alone else options.only or NAMES, options.peers)
    print(table(contest.figures))
    versions = _versions(options.peers)
    print(f"\n{notes(contest, versions)}")
    print(
        f"\n{size.count:,} tasks in each of {len(contest.rounds['this'])} rounds, in turns, medians; measured in "
        f"{time.monotonic() - began:.0f} s; load before {load:.1f}"
    )
    ours = contest.figures["this"]
    verdicts = {name: verdict(name, ours.get(name)) for name in BOUNDS}
    kept = {
        "machine": machine(),
        "peers": versions,
        "quick": options.quick,
        "load_before": load,
        "figures": contest.figures,
        "verdicts": {name: said for name, said in verdicts.items() if said},
        "wrong": contest.wrong,
        "rounds": contest.as_json(),
    }
    _keep(kept, options.output)
    return 1 if "MISSED" in verdicts.values() else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tasks",
        description="Measure tasks that do nothing, beside other task queues.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer tasks, one round, no setting is tried: less exact"
    )
    parser.add_argument("--alone", action="store_true", help="without the others")
    parser.add_argument(
        "--only", type=_names, metavar="NAMES", help=f"beside these of the others: {','.join(NAMES)}"
    )
    parser.add_argument("--tasks", type=int, metavar="N", help="in each round")
    parser.add_argument("--rounds", type=int, metavar="N", help="at most; fewer where they take long")
    parser.add_argument("--peers", type=Path, default=PEERS, metavar="PYTHON", help="the others' interpreter")
    parser.add_argument("--output", type=Path, help="the JSON file (default: one in benchmarks/results/)")
    return parser.parse_args(arguments)


def _names(text: str) -> list[str]:
    names = text.split(",")
    if strange := [name for name in names if name not in NAMES]:
        raise argparse.ArgumentTypeError(f"{strange[0]!r} is none of {', '.join(NAMES)}")
    return names


def _held(ready: Stage, size: Size, names: Sequence[str], python: Path) -> Contest:
    from benchmarks.tasks import ours  # needs the Django that the stage has set up

    assert ready.broker.pid is not None
    with redis.Redis(unix_socket_path=str(ready.broker.socket)) as client:
        client.config_set("auto-aof-rewrite-percentage", 0)  # see Ground.cleared()
        ground = Ground(ready.broker.socket, ready.broker.pid, client, ready.directory / "stamps")
        contest = Contest(ground, size, say=_say)
        there = [ours.ours(ready, ground)]
        if names and not python.exists():
            contest.wrong.append(
                f"NOT MEASURED  {', '.join(names)}: `make bench-tasks` makes {python.parent.parent.name}"
            )
        elif names:
            there += [each for each in peers(python, ground) if each.name in names]
        contest.hold(there)
        _say("enqueueing")
        contest.figures["this"] |= {
            "enqueue_ratio": ours.enqueue_ratio(ground, rounds=max(4, size.count // 50)),
            "enqueue_many": ours.enqueue_many(ground, count=size.count, rounds=3 if ready.quick else 5),
        }
    return contest


def _say(what: str) -> None:
    print(f"{what} ...", file=sys.stderr, flush=True)


def _versions(python: Path) -> dict[str, str]:
    """Of the others, as their interpreter tells them."""
    if not python.exists():
        return {}
    asking = (
        "import json, platform, importlib.metadata as of;"
        "there = {each.name: each.version for each in of.distributions()};"
        "print(json.dumps({'python': platform.python_version()} | there))"
    )
    told = subprocess.run([str(python), "-c", asking], capture_output=True, check=True, timeout=60)
    wanted = {*NAMES, "python", "kombu", "taskiq-redis", "redis", "hiredis", "orjson", "uvloop"}
    return {name: version for name, version in sorted(json.loads(told.stdout).items()) if name in wanted}


def _keep(kept: dict[str, Any], output: Path | None) -> None:
    if output is None:
        RESULTS.mkdir(exist_ok=True)
        output = RESULTS / time.strftime("tasks-%Y%m%d-%H%M%S.json")
    output.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
