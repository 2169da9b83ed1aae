"""Does a process do its work? -> a file that is there as long as it does, for a probe that can run ``test -f``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


class ReadyFile:
    """A context manager; without a path it does nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stands = False

    def __enter__(self) -> ReadyFile:
        self._remove()
        return self

    def __exit__(self, *error: object) -> None:
        self._remove()

    def show(self, ready: bool) -> None:
        """There, with a fresh time, or not there."""
        if self._path is None:
            return
        if ready:
            self._path.touch()
        elif self._stands:
            self._remove()
        self._stands = ready

    def _remove(self) -> None:
        if self._path is not None:
            with suppress(FileNotFoundError):
                self._path.unlink()
