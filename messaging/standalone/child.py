"""A command line -> a process in a session of its own, and what it says, line by line."""

from __future__ import annotations

import os
import select
import subprocess
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol

from messaging.standalone import tether


class Part(Protocol):
    """Something that runs in a process of its own. ``start`` raises OSError or an error of its own."""

    name: str

    def start(self) -> None: ...
    def alive(self) -> bool: ...
    def signal(self, number: int, /) -> None: ...
    def ended(self) -> str: ...
    def last_words(self) -> str: ...


class Child:
    """A command line as a part: a process in a session of its own, so that Ctrl-C reaches the supervisor only."""

    def __init__(
        self, name: str, arguments: Sequence[str], *, cwd: Path, pass_fds: Sequence[int] = ()
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.cwd = cwd
        self.pass_fds = pass_fds
        self.process: subprocess.Popen[bytes] | None = None
        self.said: deque[str] = deque(maxlen=20)
        self._unfinished = b""

    def start(self) -> None:
        """Starts it; what it says on both outputs goes to ``output``."""
        self.process = subprocess.Popen(
            tether.command(*self.arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.cwd,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            start_new_session=True,
            pass_fds=self.pass_fds,
        )
        self._unfinished = b""
        self.said.clear()
        os.set_blocking(self.output.fileno(), False)

    @property
    def output(self) -> IO[bytes]:
        """Its end of the pipe that the started process speaks into."""
        if self.process is None or self.process.stdout is None:
            raise RuntimeError(f"{self.name} was never started")
        return self.process.stdout

    def unread(self) -> bool:
        """Whether there is something to read, the end included."""
        return bool(select.select([self.output], [], [], 0)[0])

    def lines(self) -> list[str] | None:
        """The whole lines that it has said since the last call; None once it has closed its output."""
        try:
            chunk = os.read(self.output.fileno(), 65536)
        except BlockingIOError:
            return []
        *whole, self._unfinished = (self._unfinished + chunk).split(b"\n")
        if not chunk:
            if not self._unfinished:
                return None
            whole, self._unfinished = [self._unfinished], b""
        lines = [line.decode(errors="replace").rstrip("\r") for line in whole]
        self.said.extend(lines)
        return lines

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number: int, /) -> None:
        if self.process:
            self.process.send_signal(number)

    def ended(self) -> str:
        return tether.ending(self.process.returncode if self.process else None)

    def last_words(self) -> str:
        return "\n".join(self.said)
