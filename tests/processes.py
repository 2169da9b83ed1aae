"""A command line -> a real process: what it prints, how it ends, gone after the test in any case."""

import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from messaging.standalone import tether
from tests.nursery import Forked, Nursery
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parent.parent

STDOUT, STDERR = "stdout", "stderr"


class Process:
    """One process in a session of its own; its output is read by threads, so that it never blocks on a full pipe.

    It gets a SIGTERM from the kernel should the test process be killed. ``tty``: both outputs are one terminal.
    In tests it begins in the nursery where it can.
    """

    nursery: Nursery | None = None

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path = ROOT,
        stdin: int | None = subprocess.DEVNULL,
        tty: bool = False,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.arguments = list(arguments)
        self._chunks: list[tuple[str, str]] = []
        self._news = threading.Condition()
        master = slave = -1
        if tty:
            master, slave = pty.openpty()
        output = slave if tty else subprocess.PIPE
        self.popen: subprocess.Popen[bytes] | Forked
        if self.nursery and self.nursery.takes(arguments, env):
            self.popen = self.nursery.start(
                arguments, env=env, cwd=cwd, stdin=stdin, stdout=output, stderr=output, pass_fds=pass_fds
            )
        else:
            self.popen = subprocess.Popen(
                tether.command(*arguments),
                env=dict(env),
                cwd=cwd,
                stdin=stdin,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=pass_fds,
            )
        if tty:
            os.close(slave)
            sources = [(STDOUT, master)]
        else:
            assert self.popen.stdout is not None
            assert self.popen.stderr is not None
            sources = [(STDOUT, self.popen.stdout.fileno()), (STDERR, self.popen.stderr.fileno())]
        self._master = master
        self._readers = [threading.Thread(target=self._read, args=source, daemon=True) for source in sources]
        for reader in self._readers:
            reader.start()

    # -- what it says

    @property
    def stdout(self) -> str:
        """What it printed so far."""
        return self._text(STDOUT)

    @property
    def stderr(self) -> str:
        """What it said so far beside its output."""
        return self._text(STDERR)

    @property
    def output(self) -> str:
        """Both, as they came."""
        return self._text(STDOUT, STDERR)

    def wait_for(self, pattern: str, timeout: float = PATIENCE) -> re.Match[str]:
        """The first match of ``pattern`` (``^`` and ``$`` match at lines) in its output, waited for."""
        regex = re.compile(pattern, re.MULTILINE)
        deadline = time.monotonic() + timeout
        with self._news:
            while not (found := regex.search("".join(text for _, text in self._chunks))):
                left = deadline - time.monotonic()
                ended = self.popen.poll() is not None and not any(
                    reader.is_alive() for reader in self._readers
                )
                if ended or left <= 0:
                    why = f"it ended with {self.popen.returncode}" if ended else f"not within {timeout:g} s"
                    raise AssertionError(f"{self} did not print {pattern!r}: {why}. It said:\n{self.output}")
                self._news.wait(min(left, 0.1))
        return found

    # -- how it ends

    @property
    def pid(self) -> int:
        return self.popen.pid

    def wait(self, timeout: float = PATIENCE) -> int:
        """Its exit code (negative: the signal that killed it); the output is complete then."""
        try:
            code = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self} still runs after {timeout:g} s. It said:\n{self.output}") from None
        for reader in self._readers:
            reader.join(2)
        return code

    def signal(self, number: int) -> None:
        """Sends a signal to this process alone."""
        self.popen.send_signal(number)

    def terminate(self, timeout: float = PATIENCE) -> int:
        """SIGTERM, then its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self) -> None:
        """``kill -9``."""
        self.popen.kill()
        self.popen.wait(5)

    def clean_up(self) -> None:
        """Ends what is left of it: politely, then at once, with all of its session's first group."""
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(5)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait(5)
        for reader in self._readers:
            reader.join(5)
        if self._master >= 0:
            os.close(self._master)
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if stream:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass

    def __str__(self) -> str:
        return " ".join(Path(word).name for word in self.arguments)

    def _text(self, *sources: str) -> str:
        with self._news:
            return "".join(text for source, text in self._chunks if source in sources)

    def _read(self, source: str, descriptor: int) -> None:
        while True:
            try:
                chunk = os.read(descriptor, 65536)
            except OSError:  # a terminal whose last user is gone
                chunk = b""
            with self._news:
                if chunk:
                    self._chunks.append((source, chunk.decode(errors="replace")))
                self._news.notify_all()
            if not chunk:
                return


def plain_environment(**more: str) -> dict[str, str]:
    """What a process needs from the machine's environment, and nothing that would steer the site; plus ``more``."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return kept | {"PYTHONUNBUFFERED": "1", "SECRET_KEY": "for the tests only", "PUBLISH_BUDGET": "10"} | more


def children_of(pid: int) -> dict[int, str]:
    """The living children of a process: pid -> command line. Linux only."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found[int(stat.parent.name)] = (
                    (stat.parent / "cmdline").read_text().replace("\0", " ").strip()
                )
        except (FileNotFoundError, ProcessLookupError):
            pass  # ended meanwhile
    return found


def exists(pid: int) -> bool:
    """Whether there is such a process, zombies aside."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def queued(pid: int) -> float:
    """Seconds that a process and the slowest branch of its children waited for a processor that others had.

    So much sooner would all of them be where they are on an idle machine. 0 where the system does not tell.
    """
    try:
        own = int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (FileNotFoundError, ProcessLookupError, IndexError):
        own = 0.0
    return own + max((queued(child) for child in children_of(pid)), default=0.0)


def python(*arguments: str) -> list[str]:
    """The command line of this interpreter with ``arguments``."""
    return [sys.executable, *arguments]
