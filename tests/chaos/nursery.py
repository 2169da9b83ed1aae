"""Orders to the process that forks -> its children, as objects to be killed, stopped and waited for."""

import json
import os
import select
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

from tests.processes import ROOT, plain_environment, python
from tests.waiting import PATIENCE, eventually

ORDER_SECONDS = 20.0


class Child:
    """A forked Django process. Its id stays taken until somebody has looked at its end."""

    def __init__(self, nursery: "Nursery", pid: int, said: Path) -> None:
        self._nursery = nursery
        self.pid = pid
        self.said = said
        self.status: int | None = None

    def ended(self) -> bool:
        """Whether it has; ``status`` says how."""
        if self.status is None:
            self.status = self._nursery.ask({"look": self.pid})
        return self.status is not None

    def signal(self, number: int) -> None:
        """To this process, if it still runs."""
        if not self.ended():
            os.kill(self.pid, number)

    def freeze(self) -> None:
        """SIGSTOP, until every thread stands still: one that is in a system call finishes it first."""
        self.signal(signal.SIGSTOP)

        def stands() -> bool:
            states = [path.read_text().rpartition(")")[2].split()[0] for path in tasks.glob("*/stat")]
            return all(state == "T" for state in states)

        tasks = Path(f"/proc/{self.pid}/task")
        eventually(stands, every=0.001, message=f"process {self.pid} stands still")

    def wait(self, timeout: float = PATIENCE) -> int:
        """Its exit status, negative for a signal."""
        eventually(self.ended, timeout=timeout, message=f"process {self.pid} ends: {self.words()}")
        assert self.status is not None
        return self.status

    def kill(self) -> None:
        """``kill -9``."""
        self.signal(signal.SIGKILL)
        self.wait()

    def terminate(self, timeout: float = PATIENCE) -> int:
        """SIGTERM, and its end."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def memory_mb(self) -> int:
        """The most that it has ever had, while it lives."""
        try:
            text = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return 0
        return next(
            (int(line.split()[1]) // 1024 for line in text.splitlines() if line.startswith("VmHWM")), 0
        )

    def words(self) -> str:
        """What it has said."""
        return self.said.read_text(errors="replace") if self.said.exists() else ""


class Nursery:
    """The forking process; a context manager."""

    def __init__(self, directory: Path) -> None:
        env = plain_environment(
            VAR_DIR=str(directory),
            DATABASE_URL=f"sqlite:///{directory / 'nothing.sqlite3'}",
            REDIS_URL=f"unix://{directory / 'nobody'}?db=0",
            TEST_MESSAGING="{}",
            DJANGO_SETTINGS_MODULE="tests.tuned_settings",
        )
        self._lock = threading.Lock()
        self._popen = subprocess.Popen(
            python("-m", "tests.chaos.forks"),
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def __enter__(self) -> "Nursery":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """All children are killed."""
        assert self._popen.stdin
        assert self._popen.stdout
        self._popen.stdin.close()
        try:
            self._popen.wait(10)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait(5)
        self._popen.stdout.close()

    def ask(self, order: dict[str, Any]) -> Any:
        """One order, one reply; from any thread."""
        with self._lock:
            return self._ask(order)

    def _ask(self, order: dict[str, Any]) -> Any:
        assert self._popen.stdin
        assert self._popen.stdout
        self._popen.stdin.write(json.dumps(order).encode() + b"\n")
        self._popen.stdin.flush()
        ready, _, _ = select.select([self._popen.stdout], [], [], ORDER_SECONDS)
        line = self._popen.stdout.readline() if ready else b""
        if not line:
            raise RuntimeError(f"the forking process does not answer (ended: {self._popen.poll()})")
        return json.loads(line)

    def start(
        self, what: str, *, said: Path, database: dict[str, Any], messaging: dict[str, Any],
        caches: dict[str, Any] | None = None, variant: str = "", **options: Any,
    ) -> Child:  # fmt: skip
        """``what`` is "writer" or a management command."""
        order = {"start": what, "said": str(said), "database": database, "messaging": messaging}
        order["caches"] = caches or {}
        return Child(self, self.ask(order | {"variant": variant, "options": options}), said)
