"""Files of the code that runs -> word when one of them changes."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from django.utils.autoreload import iter_all_python_module_files

EVERY = 1.0  # seconds between two looks
UNKNOWN = -1.0


def loaded_files() -> list[str]:
    """Every file that modules of this process came from."""
    return sorted(str(path) for path in iter_all_python_module_files())


class Changes:
    """Looks at the times of files; asks the file system at most once a second."""

    def __init__(self) -> None:
        self._times: dict[str, float] = {}
        self._next = time.monotonic() + EVERY

    def watch(self, files: Iterable[str], *, since: float) -> None:
        """These as well, as they are now. One that is younger than ``since``, the moment at which the process began
        that has loaded it, may have been loaded before it changed."""
        for name in files:
            if name not in self._times:
                at = _changed_at(name)
                self._times[name] = at if at < since else UNKNOWN

    def look(self) -> str:
        """The name of a file that has changed since the last look; else ""."""
        now = time.monotonic()
        if now < self._next:
            return ""
        self._next = now + EVERY
        found = ""
        for name, before in self._times.items():
            if (at := _changed_at(name)) != before:
                self._times[name] = at
                found = name
        return found


def _changed_at(name: str) -> float:
    with suppress(OSError):
        return Path(name).stat().st_mtime
    return 0.0  # removed
