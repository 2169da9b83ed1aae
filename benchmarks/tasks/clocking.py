"""A contender with one setting -> one round: filled, worked off, clocked from outside, its leftovers looked for.

The clock is the same for all. The queue is full before the worker starts; what it does with the first tasks warms it
up; the time runs from the last of these to the moment at which the broker holds nothing that is unacknowledged.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tasks.contender import Contender, Failed, Ground, Setting
from benchmarks.tasks.stamps import Stamps
from tests.processes import Process, children_of

TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 300.0  # seconds for all tasks
LAST_WORDS = 30.0  # for the last acknowledgements


@dataclass(frozen=True, slots=True)
class Round:
    """Rates in tasks a second, CPU in microseconds a task, memory in millions of bytes. ``safe`` in percent."""

    consume: float
    enqueue: float
    worker_cpu: float
    server_cpu: float
    memory: float
    memory_all: float
    safe: float
    wrong: str  # "" if nothing was


def clocked(contender: Contender, setting: Setting, ground: Ground, *, count: int) -> Round:
    """Raises :class:`Failed` when the worker does not do them all."""
    warm_up = max(1, count // 20)
    every = warm_up + count
    ground.cleared()
    filled = contender.fill(every, setting.task)
    stamps = Stamps.fresh(ground.stamps, every)
    worker = contender.work(setting)
    try:
        _until(lambda: stamps.places[warm_up - 1], PATIENCE, contender, worker)
        before = _cpu(worker.pid), _cpu_of(ground.server_pid)
        _until(lambda: stamps.places[every - 1], PATIENCE, contender, worker)
        _until(lambda: contender.done(every), LAST_WORDS, contender, worker, pause=0.002)
        seconds = time.monotonic() - stamps.places[warm_up - 1] / 1e9
        spent = [
            now - then
            for now, then in zip((_cpu(worker.pid), _cpu_of(ground.server_pid)), before, strict=True)
        ]
        ran = stamps.ran()
        wrong = contender.wrong(every) or ("" if ran == every else f"{ran:,} runs of {every:,} tasks")
        rss, pss = _memory(worker.pid)
    finally:
        worker.clean_up()
        stamps.close()
    return Round(
        consume=count / seconds,
        enqueue=every / filled,
        worker_cpu=spent[0] / count * 1e6,
        server_cpu=spent[1] / count * 1e6,
        memory=rss / 1e6,
        memory_all=pss / 1e6,
        safe=0.0 if wrong else 100.0,
        wrong=wrong,
    )


def _until(
    holds: Callable[[], object],
    seconds: float,
    contender: Contender,
    worker: Process,
    *,
    pause: float = 0.001,
) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if worker.popen.poll() is not None or time.monotonic() > deadline:
            raise Failed(f"{contender.name} did not do its tasks; it said: {worker.output[-2000:]!r}")
        time.sleep(pause)


# -- what the kernel knows of a worker: the process that was started, and all that came from it


def _family(pid: int) -> list[int]:
    return [pid, *(each for child in children_of(pid) for each in _family(child))]


def _cpu(pid: int) -> float:
    """Seconds of all its processes."""
    return sum(_cpu_of(each) for each in _family(pid))


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _memory(pid: int) -> tuple[int, int]:
    """Bytes: RSS of the process that has worked most, PSS of all together."""
    family = _family(pid)
    busiest = max(family, key=_cpu_of)
    return _rolled_up(busiest, "Rss"), sum(_rolled_up(each, "Pss") for each in family)


def _rolled_up(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])
