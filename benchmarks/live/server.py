"""A server of event streams -> what the steps of the measurement need of it: where it is, what it costs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

PAYLOAD_BYTES = 256
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. ``publish`` takes payloads of JSON; ``workers`` are the processes that serve."""

    name: str
    port: int
    request: str
    ready: str
    workers: Callable[[], Sequence[int]]
    publish: Callable[[Sequence[bytes]], None]

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        return sum(_cpu_seconds(pid) for pid in self.workers())

    def memory_kib(self) -> int:
        """Memory that is its own."""
        return sum(_memory_kib(pid) for pid in self.workers())


class Missing(Exception):
    """The server is not on this machine; the sentence says how it comes there."""


def payload(sent: int) -> bytes:
    """JSON of 256 bytes with one ``~`` and the time of sending."""
    start = b'{"~":%d,"x":"' % sent
    return start + b"x" * (PAYLOAD_BYTES - len(start) - 2) + b'"}'


def decoded(payloads: Sequence[bytes]) -> list[dict[str, object]]:
    return [msgspec.json.decode(each) for each in payloads]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _memory_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Private_Dirty")).split()[1])
