"""Replays a week of earthquakes, as the USGS recorded them, through the broker.

    python -m examples.earthquakes                 a thousand times as fast as they happened: ten minutes
    python -m examples.earthquakes --speed 0       all at once
    python -m examples.earthquakes --limit 20      the first twenty

Each becomes a message on a channel named by its strength (earthquakes.micro ... earthquakes.great), with the time at
which the ground moved, the quake's own id as its key, and the whole GeoJSON feature as its data.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django

DATA = Path(__file__).parent / "data" / "earthquakes.json"

# The usual classes, each with the magnitude that it ends below.
CLASSES = ((3.0, "micro"), (4.0, "minor"), (5.0, "light"), (6.0, "moderate"), (7.0, "strong"), (8.0, "major"))
MOST_AT_ONCE = 500

Quake = dict[str, Any]  # a GeoJSON feature


def quakes(path: Path = DATA) -> list[Quake]:
    """All earthquakes of the file, the earliest first."""
    features: list[Quake] = json.loads(path.read_text())["features"]
    return sorted(features, key=lambda quake: quake["properties"]["time"])


def channel_of(quake: Quake) -> str:
    """``earthquakes.`` and the class of its magnitude; the weakest can only be felt by instruments."""
    magnitude = quake["properties"]["mag"]
    name = (
        "unknown"
        if magnitude is None
        else next((name for below, name in CLASSES if magnitude < below), "great")
    )
    return f"earthquakes.{name}"


def message_of(quake: Quake) -> dict[str, Any]:
    """A feature -> the arguments of ``publish()``. Some of them are explosions: that is their type."""
    return {
        "channel": channel_of(quake),
        "data": quake,
        "type": f"gov.usgs.{quake['properties']['type'].replace(' ', '-')}",
        "key": quake["id"],
        "time": datetime.fromtimestamp(quake["properties"]["time"] / 1000, UTC),
    }


def due(
    week: Sequence[Quake], *, speed: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> Iterator[list[Quake]]:
    """The quakes in batches, each when its time has come; ``speed`` times as fast as they happened, 0: at once."""
    began, first = clock(), week[0]["properties"]["time"]

    def wait_of(quake: Quake) -> float:
        after = (quake["properties"]["time"] - first) / 1000
        return began + after / speed - clock() if speed else 0.0

    at = 0
    while at < len(week):
        if (wait := wait_of(week[at])) > 0:
            sleep(wait)
        end = at + 1
        while end < len(week) and end - at < MOST_AT_ONCE and wait_of(week[end]) <= 0:
            end += 1
        yield week[at:end]
        at = end


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m examples.earthquakes", description="Replay a week of earthquakes through the broker."
    )
    parser.add_argument(
        "--speed", type=float, default=1000, metavar="TIMES", help="times as fast; 0: at once (default: 1000)"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N (default: all)")
    options = parser.parse_args()
    if options.speed < 0 or (options.limit is not None and options.limit < 1):
        parser.error("--speed is 0 or more, --limit 1 or more")

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker_site.settings")
    django.setup()
    from messaging import BrokerError, publish_many

    week = quakes()[: options.limit]
    sent = 0
    try:
        for batch in due(week, speed=options.speed, clock=time.monotonic, sleep=time.sleep):
            publish_many(message_of(quake) for quake in batch)
            sent += len(batch)
            if sys.stderr.isatty():
                print(
                    f"\r{sent:,} of {len(week):,}: {batch[-1]['properties']['title'][:60]:<60}",
                    end="",
                    file=sys.stderr,
                )
    except BrokerError as error:
        print(f"\nStopped after {sent:,}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    print(
        f"\n{sent:,} earthquakes published" if sys.stderr.isatty() else f"{sent:,} earthquakes published",
        file=sys.stderr,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
