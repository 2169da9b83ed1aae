"""Streams that nobody made for a test: the machine's own package log, a week of the world's earthquakes."""

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from examples.earthquakes import __main__ as earthquakes
from tests.conftest import Manage
from tests.missing import missing
from tests.processes import Process, plain_environment, python
from tests.servers import TestServer
from tests.sites import Database
from tests.stored import stored
from tests.waiting import eventually

LINES = 50_000  # of a log are enough

# Logs of package managers and of the system's own start, the likeliest first.
LOGS = (
    "/var/log/dpkg.log",
    "/var/log/dpkg.log.1",
    "/var/log/apt/history.log",
    "/var/log/apt/term.log",
    "/var/log/pacman.log",
    "/var/log/dnf.log",
    "/var/log/alternatives.log",
    "/var/log/syslog",
    "/var/log/messages",
    "/var/log/install.log",
)


@pytest.fixture
def real_log() -> Path:
    """A log of this machine with at least a hundred lines that can be read."""
    readable = (path for path in map(Path, LOGS) if path.is_file() and os.access(path, os.R_OK))
    found = next((path for path in readable if path.read_bytes().count(b"\n") >= 100), None)
    return found or missing("a log of the system's own", "Debian's /var/log/dpkg.log")


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def test_every_line_of_the_package_log_arrives_once_and_in_order(
    manage: Manage, broker: TestServer, database_copy: Database, real_log: Path, tmp_path: Path
) -> None:
    lines = real_log.read_bytes().splitlines()[:LINES]
    copy = tmp_path / "log"  # it may grow while it is read
    copy.write_bytes(b"\n".join(lines) + b"\n")
    listener = manage("listen")
    with opened(copy) as descriptor:
        publisher = manage("publish", "system.log", "-", "--text", "--keep-blank", stdin=descriptor)
    assert publisher.wait(30) == 0
    assert publisher.stderr.startswith(f"{len(lines):,} messages published to system.log")

    eventually(lambda: len(stored(database_copy.path, "system.log")) >= len(lines))
    rows = stored(database_copy.path, "system.log")
    assert [row.data for row in rows] == [line.decode() for line in lines]
    assert len({row.event_id for row in rows}) == len(lines)
    assert listener.terminate() == 0


# -- a week of earthquakes


def test_the_data_is_the_copy_that_its_source_names() -> None:
    source = earthquakes.DATA.with_name("SOURCE.md").read_text()
    assert hashlib.sha256(earthquakes.DATA.read_bytes()).hexdigest() in source
    assert f"{earthquakes.DATA.stat().st_size:,}" in source


Replay = Callable[..., Process]


@pytest.fixture
def replay(broker: TestServer, database_copy: Database, short_directory: Path) -> Iterator[Replay]:
    """`replay("--speed", "0")`: `python -m examples.earthquakes --speed 0` as a process."""
    env = plain_environment(
        VAR_DIR=str(short_directory), DATABASE_URL=database_copy.url, REDIS_URL=broker.url
    )
    started: list[Process] = []

    def start(*arguments: str) -> Process:
        started.append(Process(python("-m", "examples.earthquakes", *arguments), env=env))
        return started[-1]

    yield start
    for process in started:
        process.clean_up()


def test_every_earthquake_arrives_once_in_order_and_whole(
    manage: Manage, replay: Replay, database_copy: Database
) -> None:
    manage("listen")
    process = replay("--speed", "0")
    assert process.wait(30) == 0
    assert process.stderr == "1,707 earthquakes published\n"

    week = earthquakes.quakes()
    eventually(lambda: len(stored(database_copy.path, "earthquakes.*")) >= len(week))
    rows = stored(database_copy.path, "earthquakes.*")
    assert [row.data for row in rows] == week
    assert [row.key for row in rows] == [quake["id"] for quake in week]
    assert [row.time for row in rows] == sorted(row.time for row in rows)
    assert {row.type for row in rows} == {
        "gov.usgs.earthquake",
        "gov.usgs.explosion",
        "gov.usgs.quarry-blast",
    }
    strong = [row.data["properties"]["mag"] for row in rows if row.channel == "earthquakes.strong"]  # type: ignore[index]
    assert len(strong) == 5
    assert all(6 <= magnitude < 7 for magnitude in strong)


def test_its_pace_follows_the_earth(replay: Replay) -> None:
    assert replay("--speed", "1e6", "--limit", "30").wait(20) == 0


def test_each_is_due_at_its_time() -> None:
    now = 0.0
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    week = [quake_at(second) for second in (0, 10, 10, 70, 100)]
    batches = list(earthquakes.due(week, speed=10, clock=lambda: now, sleep=sleep))
    assert [len(batch) for batch in batches] == [1, 2, 1, 1]
    assert slept == pytest.approx([1, 6, 3])
    assert list(itertools.chain(*batches)) == week


def quake_at(second: int) -> dict[str, Any]:
    return {"properties": {"time": 1_517_000_000_000 + second * 1000}}


@pytest.mark.parametrize(
    ("magnitude", "name"),
    [
        (-0.6, "micro"),
        (2.99, "micro"),
        (3, "minor"),
        (4.5, "light"),
        (6, "strong"),
        (9.1, "great"),
        (None, "unknown"),
    ],
)
def test_channels_are_classes_of_magnitude(magnitude: float | None, name: str) -> None:
    assert earthquakes.channel_of({"properties": {"mag": magnitude}}) == f"earthquakes.{name}"
