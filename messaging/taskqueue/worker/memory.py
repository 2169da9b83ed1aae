"""A process id -> the memory that it really takes."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_mb(pid: int) -> float:
    """Resident memory in MB (10**6 bytes); 0 when nobody can tell."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6
    with suppress(OSError, ValueError, subprocess.SubprocessError):  # not Linux
        said = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, timeout=5, check=True
        )
        return int(said.stdout) * 1024 / 1e6
    return 0.0
