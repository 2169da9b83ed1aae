"""What is measured -> what a round needs: how its queue is filled, how its worker starts, when it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import redis

from tests.processes import ROOT, Process
from tests.waiting import eventually


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """One way to run a worker; of several the fastest is measured."""

    says: str
    arguments: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    task: str = "nothing"  # or "anothing", a coroutine


@dataclass(frozen=True, slots=True)
class Ground:
    """What all of them run on: one server, and a file that the tasks write into."""

    broker: Path  # its Unix socket
    server_pid: int
    client: redis.Redis
    stamps: Path

    def cleared(self) -> None:
        """An empty server, its append-only file too: no round rewrites what another one has left."""
        self.client.flushall()
        self.client.bgrewriteaof()
        eventually(lambda: not self.client.info("persistence")["aof_rewrite_in_progress"], timeout=30)


@dataclass(frozen=True, slots=True)
class Contender:
    """``fill`` puts so many tasks (their name) into the queue, one at a time, and says in how many seconds; ``work``
    starts a worker. ``done``: has the broker nothing left that waits, is unacknowledged or lacks its result? It is
    asked again and again, and cheap. ``wrong`` looks closely when it is over: a sentence, or nothing."""

    name: str
    settings: tuple[Setting, ...]
    note: str
    acknowledges: bool
    fill: Callable[[int, str], float]
    work: Callable[[Setting], Process]
    done: Callable[[int], bool]
    wrong: Callable[[int], str]


class Failed(Exception):
    """What a contender did instead of its tasks."""


def command(python: Path, *arguments: str, env: Mapping[str, str]) -> Process:
    """A process in the project's folder."""
    return Process([str(python), *arguments], env=env, cwd=ROOT)
