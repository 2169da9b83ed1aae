"""Command line -> the report on stdout; 1 when somebody saw what they should not have, or something was left over."""

import argparse
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

import django

STEPS = ("restart_redis", "kill_redis", "wipe", "restart_web", "kill_web", "fat_burst")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__)
    parser.add_argument("--steps", type=int, default=40, help="how many things go wrong (default: 40)")
    parser.add_argument("--clients", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    from django.conf import settings

    from tests.sites import make_database
    from tests.stress.run import stress

    directory = Path(tempfile.mkdtemp(prefix="mts-", dir="/tmp"))
    chosen = random.Random(options.seed)
    steps = [*STEPS, *(chosen.choice(STEPS) for _ in range(max(0, options.steps - len(STEPS))))]
    try:
        report = stress(
            make_database(directory),
            steps,
            crowd=options.clients // 2,
            pause=1.5,
            waves=4,
            seed=options.seed,
            say=lambda text: print(text, file=sys.stderr, flush=True),
        )
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        shutil.rmtree(settings.VAR_DIR, ignore_errors=True)
    print(
        f"{report.clients} clients connected {report.connects:,} times and saw {report.messages:,} messages of "
        f"{report.published:,} published, and {report.gaps:,} gaps that were true.\n"
        f"{len(report.events)} things went wrong: "
        + ", ".join(f"{name} {report.events.count(name)}" for name in STEPS)
        + f".\nThe slowest stop of the web process took {report.slowest_stop:.1f} s.\n"
        f"At first {report.first}\nat last  {report.last}"
    )
    for fault in report.faults:
        print(f"FAULT {fault}")
    print("FAILED" if report.faults else "Everybody saw exactly what they should; nothing was left over.")
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
