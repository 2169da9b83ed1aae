"""``python -m tests.kills --rounds 20 --seed 1``: kill workers, judge the ledger; 1 when a promise is broken."""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

import django

from tests.kills.ledger import VARIANT

HEAD = (
    "seed",
    "tasks",
    "kills",
    "executions",
    "repeated",
    "unexcused",
    "lost",
    "child p50",
    "max",
    "alone",
    "machine p50",
    "max",
    "s",
)
WIDTHS = (4, 7, 26, 10, 8, 9, 5, 9, 6, 6, 11, 6, 5)


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--tasks", type=int, default=20_000, help="of each seed")
    parser.add_argument("--rounds", type=int, default=20, help="kills of each seed")
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument(
        "--kinds",
        default="",
        help="comma-separated, one after the other: child supervisor machine pause redis deploy link, and old for a "
        "fleet of two releases, sqlite for a file that all write (default: the first three)",
    )
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument(
        "--words", action="store_true", help="show what the workers said when something broke"
    )
    parser.add_argument("--variant", default="", help="without one of the safeguards: a name in variants.py")
    parser.add_argument("--patience", type=float, metavar="SECONDS", help="for the last tasks to end")
    parser.add_argument(
        "--any-time", action="store_true", help="tasks of the killed may run elsewhere as late as they like"
    )
    options = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.kills.kills_settings"
    os.environ.setdefault("SECRET_KEY", "for kills only")
    os.environ[VARIANT] = (
        options.variant
    )  # of this process too: who enqueues says how many crashes are forgiven
    directory = Path(tempfile.mkdtemp(prefix="mtx-", dir="/tmp"))
    if "sqlite" in options.kinds:
        os.environ["DATABASE_URL"] = f"sqlite:///{directory}/db.sqlite3"
    django.setup()
    from tests.kills.variants import VARIANTS
    from tests.kills.world import KINDS, PATIENCE, World  # its tasks need the settings

    if options.variant and options.variant not in VARIANTS:
        parser.error(f"there is no variant {options.variant!r}, there are: {', '.join(VARIANTS)}")

    kinds = options.kinds.split(",") if options.kinds else KINDS

    _line(HEAD)
    fine = True
    for seed in range(options.seed, options.seed + options.seeds):
        with World(
            seed, count=options.tasks, rounds=options.rounds, kinds=kinds,
            patience=options.patience or PATIENCE, in_time=not options.any_time,
        ) as world:  # fmt: skip
            result = world.run()
        found = result.findings
        near, alone = found.at_once["child"], found.alone["child"]
        far = [each for how in ("machine", "pause", "link") for each in found.recovery[how]]
        _line(
            (seed, found.tasks, _kinds(result.kills), found.executions, found.repeated, found.unexcused, found.lost,
             *_spans(near), _spans(alone)[1], *_spans(far), f"{result.seconds:.0f}")
        )  # fmt: skip
        for sentence in found.worn_out:
            print(f"    struck too often: {sentence}")
        for sentence in found.late[:5]:
            print(f"    late: {sentence}")
        if more := found.late[5:]:
            print(f"    late: {len(more)} more")
        for sentence in found.broken[:20]:
            print(f"    BROKEN {sentence}", flush=True)
        if found.broken and options.words:
            print(result.words, file=sys.stderr)
        fine = fine and not found.broken
    shutil.rmtree(directory, ignore_errors=True)
    print(
        "child: until a task of a killed process runs elsewhere; alone: at most, of those that had lost so many that "
        "they wait until no other such one runs beside them; machine: of a worker killed with its supervisor, "
        "frozen, or cut off"
    )
    return 0 if fine else 1


def _kinds(kills: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind[:5]}" for kind, count in kills.items() if count)


def _spans(seconds: list[float]) -> tuple[str, str]:
    return (f"{median(seconds):.2f}", f"{max(seconds):.2f}") if seconds else ("-", "-")


def _line(cells: tuple[object, ...]) -> None:
    print(*(f"{cell!s:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
