"""A project's folder -> word when its code changes."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path

SUFFIXES = (".py", ".html")  # templates are read once
PASSED_OVER = ("node_modules", "site-packages", "__pycache__")  # and whatever begins with a dot
EVERY = 0.5  # seconds between two looks


class Watcher:
    """Looks at the times of all code below a folder, but for what is below ``leaving_out``; asks the file system twice
    a second at most."""

    def __init__(self, folder: Path, *, leaving_out: Collection[Path] = ()) -> None:
        self._folder = folder
        self._leaving_out = {path.resolve() for path in leaving_out}
        self._times = dict(self._look())
        self._next = time.monotonic() + EVERY

    def changed(self) -> str:
        """The name of a file that is new, another or gone since the last look; else "". Of several, any."""
        now = time.monotonic()
        if now < self._next:
            return ""
        times = dict(self._look())
        self._next = time.monotonic() + EVERY
        before, self._times = self._times, times
        differing = {name for name, _ in before.items() ^ times.items()}
        return min((os.path.relpath(name, self._folder) for name in differing), default="")

    def _look(self) -> Iterator[tuple[str, int]]:
        folders = [str(self._folder.resolve())]
        while folders:
            try:
                entries = list(os.scandir(folders.pop()))
            except OSError:
                continue  # gone meanwhile, or not for us
            for entry in entries:
                if entry.name.startswith(".") or entry.name in PASSED_OVER:
                    continue
                try:
                    if entry.is_dir(follow_symlinks=False):
                        if Path(entry.path) not in self._leaving_out and not _is_environment(entry.path):
                            folders.append(entry.path)
                    elif entry.name.endswith(SUFFIXES):
                        yield entry.path, entry.stat().st_mtime_ns
                except OSError:
                    continue


def _is_environment(folder: str) -> bool:
    """Is it a virtual environment? They need not begin with a dot."""
    return os.path.exists(os.path.join(folder, "pyvenv.cfg"))  # noqa: PTH110, PTH118 (for each folder, twice a second)
