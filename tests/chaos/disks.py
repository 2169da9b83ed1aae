"""A world -> a disk that is full for a moment.

A process that may write no file beyond a size (``RLIMIT_FSIZE``) gets an error from ``write(2)`` where a full disk
would give one; it needs no privilege, and neither a small partition.
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.chaos.logs import is_read
from tests.chaos.world import World
from tests.processes import children_of, exists
from tests.waiting import eventually

FILLING = 6_000_000  # bytes; ledgers and logs stay far below
WAL_SEGMENT = 17_000_000  # bytes: PostgreSQL makes its log in pieces of 16 MiB, and ends when it cannot


def full_for_redis(world: World) -> None:
    """The append-only file cannot grow: MISCONF."""
    client = world.redis()
    size = max(file.stat().st_size for file in world.broker.directory.rglob("*.aof"))
    with _no_file_beyond(size + 10_000, [world.broker.pid]):
        eventually(lambda: client.info()["aof_last_write_status"] == "err", message="its disk is full")
        world.pause(0.3, 0.6)
    eventually(lambda: client.info()["aof_last_write_status"] == "ok", message="it writes again")


def full_for_database(world: World) -> None:
    """No page can be added."""
    if world.postgres:
        world.rows.fill_postgresql(4 * FILLING)
        server = world.postgres.process.pid
        processes, limit = [server, *children_of(server)], max(WAL_SEGMENT, world.rows.bytes_postgresql())
        words = "could not extend file"
    else:
        processes, limit = [child.pid for child in (*world.listeners, *world.writers)], FILLING // 2
        words = "disk I/O error"
    user = world.postgres.user if world.postgres else None
    said = world.words().count(words)
    with world.rows.filled_log(FILLING), _no_file_beyond(limit, processes, user=user):
        # One that was away already (the last time, or waiting for the lock of who filled the log) says nothing new.
        eventually(
            lambda: world.words().count(words) > said or _is_stuck(world),
            timeout=60,
            message="its disk is full",
        )
        world.pause(0.5, 1.0)
        if world.postgres:
            processes += children_of(world.postgres.process.pid)


def _is_stuck(world: World) -> bool:
    before = world.rows.cursor(0)
    time.sleep(0.5)  # so long the relay stands still, though there is something to store
    return world.rows.cursor(0) == before and not is_read(world.redis(), world.rows, 0)


@contextmanager
def _no_file_beyond(size: int, processes: list[int], *, user: str | None = None) -> Iterator[None]:
    _limit(processes, str(size), user)
    try:
        yield
    finally:
        _limit(processes, "unlimited", user)


def _limit(processes: list[int], size: str, user: str | None) -> None:
    """By prlimit(1), as the user whose processes they are: root may be without the capability for others' processes."""
    for pid in processes:
        command = ["prlimit", f"--pid={pid}", f"--fsize={size}:"]
        done = subprocess.run(command, user=user, capture_output=True, timeout=10, check=False)
        assert done.returncode == 0 or not exists(pid), done.stderr.decode()
