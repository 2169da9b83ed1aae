"""What the crowd shall do -> what it saw: drives ``benchmarks.live.load``."""

from __future__ import annotations

import json
import subprocess
from types import TracebackType
from typing import Any

from tests.processes import ROOT, plain_environment, python


class Crowd:
    """Many streams of one server. ``with`` ends them."""

    def __init__(self, port: int, request: str, ready: str) -> None:
        self._process = subprocess.Popen(
            python("-m", "benchmarks.live.load", str(port), request, ready),
            env=plain_environment(),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Crowd:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate(timeout=10)

    def ask(self, command: str, *numbers: float) -> dict[str, Any]:
        """One command and its answer; see ``load`` for both."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join([command, *map(str, numbers)]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the crowd ended while it was told to {command}")
        found: dict[str, Any] = json.loads(answer)
        return found
