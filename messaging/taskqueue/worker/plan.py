"""The command's options -> what a worker is to do, for the supervisor and for each of its processes."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterable

import msgspec

from messaging.taskqueue.job import MAX_WORKER

EVERY = "*"


class Choice(msgspec.Struct, frozen=True):
    """Which queues, and how often one is asked before another: a queue of weight 3 three times as often as one of 1."""

    weights: dict[str, int]
    every: int = 0  # weight of those that are not named; 0: only the named ones
    without: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Choice:
        """``default,mail=3``, ``*`` for all there are, ``*,mail=3,-slow``; ``ValueError`` says what is wrong."""
        weights: dict[str, int] = {}
        without: list[str] = []
        for part in filter(None, (each.strip() for each in text.split(","))):
            name, given, weight = part.partition("=")
            if given and not (weight.isascii() and weight.isdecimal() and 0 < int(weight) <= 1000):
                raise ValueError(
                    f"the weight of queue {name!r} must be a number from 1 to 1000, not {weight!r}"
                )
            if part.startswith("-") and not given:
                without.append(part[1:])
            else:
                weights[name] = int(weight) if given else 1
        every = weights.pop(EVERY, 0)
        if not weights and not every:
            raise ValueError(f"{text!r} names no queue")
        return cls(weights, every, tuple(without))

    def of(self, known: Iterable[str]) -> dict[str, int]:
        """Queue -> weight, of the named ones and, if all are meant, of those that are known."""
        found = dict.fromkeys(sorted(known), self.every) if self.every else {}
        return {name: weight for name, weight in (found | self.weights).items() if name not in self.without}

    def __str__(self) -> str:
        named = {**({EVERY: self.every} if self.every else {}), **self.weights}
        words = [name if weight == 1 else f"{name}={weight}" for name, weight in named.items()]
        return ",".join([*words, *(f"-{name}" for name in self.without)])


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All options."""

    alias: str  # of settings.TASKS
    choice: Choice
    name: str  # first part of the worker ids
    lease_ms: int
    stop_seconds: float  # for a task that is told to stop
    processes: int = 1
    concurrency: int = 10  # tasks at once in each process
    max_tasks: int = 0  # of all processes together; 0: no end
    burst: bool = False  # end when the queues are empty
    memory_mb: int = 0  # of a process; 0: no limit
    reload: bool = False
    drain_seconds: float = 30.0


def new_mark() -> str:
    """Eight random hexadecimal digits: a restarted container has its predecessor's host name and process ids."""
    return secrets.token_hex(4)


def worker_id(name: str, pid: int, mark: str) -> str:
    """``name:pid:mark``, the name cut if need be."""
    tail = f":{pid}:{mark}"
    return name[: MAX_WORKER - len(tail)] + tail


def host() -> str:
    """What stands for this machine in worker ids."""
    return os.environ.get("HOSTNAME") or socket.gethostname()
