"""Does a process do its work? -> a file that is there as long as it does, for a probe that can run ``test -f``."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path


class CannotMake(Exception):
    """No file can be made there: which, and why."""


class ReadyFile:
    """A context manager; without a path it does nothing. Raises :class:`CannotMake` at entry."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stands = False

    def __enter__(self) -> ReadyFile:
        if self._path is not None:
            try:
                self._path.unlink(missing_ok=True)
                with tempfile.TemporaryFile(dir=self._path.parent):
                    pass  # beside it: the file itself would be taken for the news
            except OSError as error:
                raise CannotMake(f"--ready-file {self._path}: {error.strerror or error}") from error
        return self

    def __exit__(self, *error: object) -> None:
        self.show(False)

    def show(self, ready: bool) -> None:
        """There, with a fresh time, or not there. A folder that is gone or full stops no work: whoever looks for the
        file notices."""
        if self._path is None:
            return
        with suppress(OSError):
            if ready:
                self._path.touch()
            elif self._stands:
                self._path.unlink(missing_ok=True)
        self._stands = ready
