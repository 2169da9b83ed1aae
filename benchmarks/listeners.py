"""A stage -> listeners as processes of their own, as ``manage.py listen`` runs them, and what they have stored."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.stage import Stage
from messaging.models import Message
from tests.processes import Process, plain_environment, python

IN_CHARGE, STANDING_BY = "is in charge", "is standing by"


@contextmanager
def listener(stage: Stage, role: str) -> Iterator[Process]:
    """One that has come so far; on SQLite, under the site's own settings."""
    env = plain_environment(
        VAR_DIR=str(stage.directory), REDIS_URL=f"unix://{stage.broker.socket}?db=0", LOG_LEVEL="INFO"
    )
    process = Process(python("manage.py", "listen", "--quiet"), env=env)
    try:
        process.wait_for(role)
        yield process
    finally:
        process.clean_up()


def wait_until_stored(count: int, *, every: float) -> None:
    """Until the table has so many messages; looks only so often, since a look takes the listener's processor."""
    deadline = time.monotonic() + 900
    while Message.objects.count() < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{Message.objects.count()} of {count} messages were stored within 15 minutes")
        time.sleep(every)


def memory_mb(process: Process, name: str = "VmRSS") -> float:
    """Resident memory now, or with ``VmHWM`` the most that it ever was. Linux only."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def is_linux() -> bool:
    """Does this system tell the memory of a process?"""
    return Path("/proc/self/status").exists()
