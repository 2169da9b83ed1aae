"""A command line of this interpreter -> a process that begins with the packages loaded: a fork of one that has them.

Most of what a short process of the site takes is to load Django, redis-py and the like, the same for each of hundreds
that the tests start. The nursery (tests/forking.py) has loaded what other people wrote, and nothing of ours. What it
forks is a process like any other: an id, a session, descriptors, an environment and signals of its own; a script, or a
module by ``-m``, that runs as ``__main__``; an exit code, or the signal that ended it.

It is not for what measures: a process of its own shares no memory with others. The harness of chaos has a nursery of
its own (tests/chaos/nursery.py), with the site loaded and settings by order. Linux only.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import IO

from messaging.standalone import tether
from tests import forking

STEERING = ("PYTHONUNBUFFERED", "PYTHONPATH")  # of what steers an interpreter, what a fork can follow


class Forked:
    """A started process, with what ``subprocess.Popen`` has of it that tests use."""

    def __init__(self, nursery: Nursery, pid: int, pipes: Sequence[IO[bytes] | None]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin, self.stdout, self.stderr = pipes
        self._nursery = nursery

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            self.returncode = self._nursery.exit_code(self.pid, timeout)
        return self.returncode


class Nursery:
    """The process that forks, started with the first request."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """``environment``: what it loads the packages in. What it forks has another."""
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._asking = threading.Lock()
        self._news = threading.Condition()
        self._started: list[int] = []
        self._codes: dict[int, int] = {}
        self._over = False

    def takes(self, arguments: Sequence[str], env: Mapping[str, str]) -> bool:
        """Whether this is a script or a module for this interpreter, steered by nothing that a fork cannot follow."""
        return (
            sys.platform == "linux"
            # The kernel ends a process that is tethered to a thread with that thread.
            and (self._process is not None or threading.current_thread() is threading.main_thread())
            and len(arguments) > 1
            and arguments[0] == sys.executable
            and (not arguments[1].startswith("-") or (arguments[1] == "-m" and len(arguments) > 2))
            and all(name in STEERING for name in env if name.startswith("PYTHON"))
            and all(
                env.get(name) == self._environment.get(name)
                for name in env.keys() | self._environment.keys()
                if name.startswith(("LANG", "LC_"))
            )
        )

    def start(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        stdin: int | None,
        stdout: int,
        stderr: int,
        pass_fds: Sequence[int] = (),
    ) -> Forked:
        """As ``subprocess.Popen``, in a session of its own."""
        pipes: list[IO[bytes] | None] = []
        given: list[int] = []
        for target, wanted in enumerate((stdin, stdout, stderr)):
            theirs, ours = _descriptor(target, wanted)
            given.append(theirs)
            pipes.append(ours)
        request = {
            "arguments": list(arguments),
            "env": dict(env),
            "cwd": str(cwd),
            "targets": [0, 1, 2, *pass_fds],
        }
        try:
            with self._asking:
                self._launch()
                socket.send_fds(self._socket, [json.dumps(request).encode()], [*given, *pass_fds])
                with self._news:
                    self._news.wait_for(lambda: self._started or self._over)
                    if not self._started:
                        raise RuntimeError("the nursery has ended")
                    pid = self._started.pop()
        finally:
            for fd in given:
                os.close(fd)
        return Forked(self, pid, pipes)

    def exit_code(self, pid: int, timeout: float | None) -> int | None:
        """That of a process that was started here; ``None`` if it still runs after ``timeout`` seconds."""
        with self._news:
            self._news.wait_for(lambda: pid in self._codes or self._over, timeout)
            return self._codes.get(pid, -signal.SIGTERM if self._over else None)

    def close(self) -> None:
        """Ends it; what it has forked and still runs gets a SIGTERM from the kernel."""
        if self._process is not None and self._socket.fileno() >= 0:
            self._socket.shutdown(socket.SHUT_RDWR)
            self._process.wait(10)
            self._reader.join(10)
            self._socket.close()

    def _launch(self) -> None:
        if self._process is not None:
            return
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                tether.command(sys.executable, forking.__file__, str(theirs.fileno())),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while message := self._socket.recv(forking.LARGEST):
            pid, status = json.loads(message)
            with self._news:
                if status is None:
                    self._codes.pop(pid, None)  # of an earlier process with this id
                    self._started.append(pid)
                else:
                    self._codes[pid] = os.waitstatus_to_exitcode(status)
                self._news.notify_all()
        with self._news:
            self._over = True
            self._news.notify_all()


def _descriptor(target: int, wanted: int | None) -> tuple[int, IO[bytes] | None]:
    """What the process gets at ``target``, to be closed here, and our end of it where it is a pipe."""
    if wanted == subprocess.PIPE:
        read, write = os.pipe()
        return (read, FileIO(write, "w")) if target == 0 else (write, FileIO(read))
    if wanted == subprocess.DEVNULL:
        return os.open(os.devnull, os.O_RDWR), None
    return os.dup(target if wanted is None else wanted), None
