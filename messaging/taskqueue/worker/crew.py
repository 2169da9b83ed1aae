"""Orders -> a worker process as its supervisor sees it: what it holds, how it is, how it ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Collection

import msgspec

from messaging.exits import CANNOT_START
from messaging.standalone import tether
from messaging.taskqueue.job import Claim
from messaging.taskqueue.worker import messages
from messaging.taskqueue.worker.messages import Channel, FromProcess, Holding, Orders
from messaging.taskqueue.worker.plan import Plan, new_mark, worker_id

ENTRY = "messaging.taskqueue.worker"


class Member:
    """One process, from its start to its end. All but ``held`` belongs to the supervisor's main thread."""

    def __init__(self, plan: Plan, *, budget: int, piped: bool, quiet: bool = False) -> None:
        mine, theirs = socket.socketpair()
        with theirs:
            environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            self.process = subprocess.Popen(
                tether.command(sys.executable, "-m", ENTRY, str(theirs.fileno())),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else None,
                stderr=subprocess.STDOUT if piped else None,
                env=environment,
                start_new_session=True,  # Ctrl-C reaches the supervisor only
                pass_fds=[theirs.fileno()],
            )
        mark = new_mark()
        path = os.environ.get("PYTHONPATH")
        orders = Orders(plan=plan, mark=mark, budget=budget, python_path=path, quiet=quiet)
        mine.sendall(msgspec.json.encode(orders) + b"\n")
        self.channel: Channel[FromProcess] = Channel(mine, messages.from_process)
        self.worker = worker_id(plan.name, self.process.pid, mark)
        self.since = time.time()
        self.held: dict[Claim, tuple[Holding, float]] = {}  # what and since when (monotonic)
        self.waiting: set[Claim] = set()  # of what it holds: not begun
        self.settled_at = time.monotonic()  # the last one
        self.budget = budget
        self.begun = 0  # tasks
        self.ready = False
        self.leaving = ""  # why it is to end; it claims no more
        self.left_at = 0.0  # when it was told (monotonic)
        self.blamed: Collection[Claim] | None = None  # its end counts against these; None: all that it holds
        self.failure = ""
        self.unfinished = b""  # the start of a line that it is about to say

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def cannot_start(self) -> bool:
        """Whether it said by its exit code that another try will not help."""
        return not self.ready and self.process.returncode == CANNOT_START

    def ending(self) -> str:
        """How it ended, for a sentence."""
        return tether.ending(self.process.returncode)

    def kill(self, *, blamed: Collection[Claim] = ()) -> None:
        """At once. Its end counts against no tasks but ``blamed``."""
        self.blamed = blamed
        self.process.kill()

    def leave(self, reason: str) -> None:
        """It is to end; the first reason stays."""
        if not self.leaving:
            self.leaving, self.left_at = reason, time.monotonic()

    def lingers(self, seconds: float) -> bool:
        """Whether it was told to end so long ago, and has held nothing for so long. Not sooner: what it has just
        claimed may not be known here yet."""
        since = max(self.settled_at, self.left_at)
        return bool(self.leaving) and self.ready and not self.held and time.monotonic() - since > seconds

    def take(self, message: messages.Took) -> None:
        """It has claimed these."""
        now = time.monotonic()
        self.begun += len(message.jobs)
        self.held |= {holding.claim: (holding, now) for holding in message.jobs}

    def give(self, message: messages.Gave) -> None:
        """It has settled these."""
        self.settled_at = time.monotonic()
        for each in message.claims:
            self.held.pop(each, None)
            self.waiting.discard(each)

    def innocent(self) -> list[Holding]:
        """What it holds and its end does not count against."""
        return [
            holding
            for claim, (holding, _) in self.held.items()
            if claim in self.waiting or (self.blamed is not None and claim not in self.blamed)
        ]

    def overdue(self, seconds: float) -> Holding | None:
        """A task that is so long over its time limit that the process can hardly be alive inside."""
        now = time.monotonic()
        for holding, since in self.held.values():
            if holding.timeout_ms and now > since + holding.timeout_ms / 1000 + seconds:
                return holding
        return None

    def said(self) -> list[str] | None:
        """Whole lines of its output since the last call; None once it has closed it."""
        if self.process.stdout is None:
            return None
        try:
            chunk = os.read(self.process.stdout.fileno(), 65536)
        except BlockingIOError:
            return []
        *whole, self.unfinished = (self.unfinished + chunk).split(b"\n")
        if not chunk:
            if not self.unfinished:
                return None
            whole, self.unfinished = [self.unfinished], b""
        return [line.decode(errors="replace") for line in whole]

    def close(self) -> None:
        """After its end."""
        self.channel.close()
        if self.process.stdout is not None:
            self.process.stdout.close()
