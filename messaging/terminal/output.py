"""Data -> stdout; a reader that has gone away, or a full disk, is an exception that no other failure is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class OutputLost(Exception):
    """Stdout takes nothing more; what is written to it from now on is dropped."""

    def __init__(self, error: OSError) -> None:
        self.is_closed = isinstance(error, BrokenPipeError)  # whoever read it has seen enough
        why = "its reader is gone" if self.is_closed else error.strerror or str(error)
        super().__init__(f"stdout takes nothing more ({why})")


class Output:
    """A text stream whose failures are :class:`OutputLost`."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with self._failing():
            self._stream.write(text)

    def put(self, data: bytes) -> None:
        """Bytes, as they are."""
        binary = getattr(self._stream, "buffer", None)
        if binary is None:  # a test's StringIO
            self.write(data.decode(errors="backslashreplace"))
            return
        with self._failing():
            binary.write(data)

    def flush(self) -> None:
        with self._failing():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            drop(self._stream)
            raise OutputLost(error) from error


class Reports(Generic[T]):
    """Writes reports about work as long as stdout takes them. The work goes on without; ``tell`` gets why, once."""

    def __init__(self, write: Callable[[T], None] | None, tell: Callable[[str], None]) -> None:
        self._write = write  # None: none are wanted, or no more
        self._tell = tell
        self.missing = False  # was something to be kept that could not be written?

    def __call__(self, report: T) -> None:
        if self._write is None:
            return
        try:
            self._write(report)
        except OutputLost as error:
            self._write = None
            self.missing = not error.is_closed
            self._tell(f"{error}: there are no more reports, the work goes on")


def drop(stream: Any) -> None:
    """Let a stream that has failed lead nowhere: Python flushes it once more at its end, and would complain."""
    with suppress(OSError, ValueError):  # a stream without a file, or closed
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)
