"""Lines that tasks write when they begin and end -> executions.

    began TASK PID AT        before the effect
    ended TASK PID AT        after it
    dying TASK PID AT        before the task kills its own process

One ``write(2)`` a line into a file that only grows, so that a killed process leaves whole lines.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

# Lost workers of one task, here: what several of the kills strike has to end well all the same.
FORGIVEN = 4
VARIANT = "KILLS_VARIANT"  # environment variable: which of variants.py, if any


@dataclass(slots=True)
class Execution:
    """One time that a task was begun."""

    task: int
    pid: int
    began: float
    ended: float | None = None


@dataclass(slots=True)
class Death:
    """A process that was killed at some moment ``at`` or later: by the nemesis, or by its own task; or that could not
    do or say anything from ``at`` to ``until``."""

    pid: int
    at: float
    until: float
    how: str  # child | machine | pause | link | suicide


class Ledger:
    """The side of the tasks."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, kind: str, task: int) -> None:
        os.write(self._file, f"{kind} {task} {os.getpid()} {time.time():.6f}\n".encode())


def read(path: Path) -> tuple[list[Execution], list[Death]]:
    """All of it, in order of time; deaths are those of `dying` lines."""
    executions: list[Execution] = []
    open_ones: dict[tuple[int, int], Execution] = {}
    deaths = []
    for line in path.read_text().splitlines():
        kind, task, pid, at = line.split()
        key = (int(task), int(pid))
        if kind == "began":
            open_ones[key] = Execution(*key, float(at))
            executions.append(open_ones[key])
        elif kind == "ended":
            open_ones.pop(key).ended = float(at)
        else:
            deaths.append(Death(key[1], float(at), float(at) + 1.0, "suicide"))
    return executions, deaths
