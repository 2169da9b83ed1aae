"""A command line -> that command in place of this process, ended by the kernel when its parent dies.

    python -I -S tether.py PARENT_PID COMMAND [ARGUMENT ...]

A supervisor that is killed with SIGKILL cannot stop its children. On Linux each child therefore asks the kernel for a
SIGTERM at the death of its parent (``prctl(2)``, PR_SET_PDEATHSIG), which survives ``execve``. Elsewhere the command
just starts, and the next supervisor deals with what the last one left.

Run by its path, with nothing but the standard library: it costs a few milliseconds before each start.
"""

from __future__ import annotations

import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def command(*arguments: str, parent: int | None = None) -> list[str]:
    """The command line that runs ``arguments`` tied to the life of ``parent`` (this process by default)."""
    return [sys.executable, "-I", "-S", __file__, str(parent or os.getpid()), *arguments]


def ending(returncode: int | None) -> str:
    """How a process ended, for a sentence."""
    if returncode is not None and returncode < 0:
        return f"ended by {signal.Signals(-returncode).name}"
    return f"ended with exit code {returncode}"


def tie(parent: int) -> None:
    """Ties this process to the life of ``parent``; ends it if that is over already."""
    if sys.platform == "linux":
        import ctypes  # here, since other modules import this one for command() only

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel was asked
        sys.exit(1)


def main(parent: int, arguments: list[str]) -> None:
    """Ties this process to ``parent`` and becomes ``arguments``; never returns."""
    tie(parent)
    os.execv(arguments[0], arguments)  # noqa: S606 - no shell is what is wanted


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
