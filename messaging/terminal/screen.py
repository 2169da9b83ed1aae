"""Text for people -> text that a terminal shows as meant: colours, widths, nothing that steers it, one status line."""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
import unicodedata
from collections.abc import Callable
from typing import Any
from zlib import crc32

# What would move the cursor, colour, reorder or ring: C0, DEL, C1, line separators, direction marks, lone surrogates.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_SHORT = {"\n": "⏎", "\t": " ", "\r": "\\r"}

# Of the 256 colours, those that can be read on black and on white.
_CHANNEL_COLOURS = (32, 30, 35, 61, 64, 67, 97, 130, 132, 136, 166, 168)


def safe(text: str) -> str:
    """Text on one line, with everything that would steer a terminal made visible."""
    return _STEERING.sub(_visible, text) if _STEERING.search(text) else text


def _visible(found: re.Match[str]) -> str:
    char = found[0]
    return _SHORT.get(char) or char.encode("unicode_escape").decode()


def columns(text: str) -> int:
    """How many columns a terminal gives to safe text."""
    return len(text) if text.isascii() else sum(_columns_of(char) for char in text)


def _columns_of(char: str) -> int:
    if unicodedata.east_asian_width(char) in "WF":
        return 2
    return 0 if unicodedata.category(char) in ("Mn", "Me", "Cf") else 1


def cut(text: str, most: int) -> str:
    """Safe text in at most ``most`` columns, ending in ``…`` if it had more."""
    if len(text) <= most and columns(text) <= most:
        return text
    if most < 1:
        return ""
    left = most - 1
    for at, char in enumerate(text):
        left -= _columns_of(char)
        if left < 0:
            return text[:at] + "…"
    return text


def counted(number: int, one: str, many: str = "") -> str:
    """``1 line``, ``2 lines``, ``1,000 entries``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def width() -> int:
    """Columns of the terminal, 80 where none says."""
    return shutil.get_terminal_size().columns


def is_terminal(stream: Any) -> bool:
    """Does this stream end in front of a person?"""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # no stream of its own kind, or closed
        return False


class Paint:
    """Text -> text in colour, or as it is when ``on`` is false."""

    def __init__(self, on: bool) -> None:
        self.on = on

    @classmethod
    def of(cls, stream: Any, options: dict[str, Any]) -> Paint:
        """As ``--no-color``, ``--force-color``, NO_COLOR (https://no-color.org) and the stream say, in this order."""
        if options.get("no_color") or options.get("force_color"):
            return cls(not options.get("no_color"))
        return cls(is_terminal(stream) and not os.environ.get("NO_COLOR"))

    def dim(self, text: str) -> str:
        return self._in("2", text)

    def bold(self, text: str) -> str:
        return self._in("1", text)

    def red(self, text: str) -> str:
        return self._in("31", text)

    def yellow(self, text: str) -> str:
        return self._in("33", text)

    def green(self, text: str) -> str:
        return self._in("32", text)

    def channel(self, name: str, text: str) -> str:
        """``text`` in the colour that every line of this channel has."""
        return self._in(f"38;5;{_CHANNEL_COLOURS[crc32(name.encode()) % len(_CHANNEL_COLOURS)]}", text)

    def _in(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on and text else text


class StatusLine:
    """One line at the bottom of a terminal that is written over itself; whatever else is printed pushes it down.

    A context manager: inside it, log lines that go to a terminal take the status line away first.
    """

    def __init__(self, write: Callable[[str], object], *, shown: bool) -> None:
        self._write = write
        self._shown = shown
        self._stands = False
        self._handlers: list[logging.Handler] = []

    def __enter__(self) -> StatusLine:
        if self._shown:
            named = (logging.getLogger(name) for name in logging.root.manager.loggerDict)
            handlers = {each for logger in (logging.root, *named) for each in logger.handlers}
            self._handlers = [
                each
                for each in handlers
                if isinstance(each, logging.StreamHandler) and is_terminal(each.stream)
            ]
            for handler in self._handlers:
                handler.addFilter(self._make_way)
        return self

    def __exit__(self, *error: object) -> None:
        self.clear()
        for handler in self._handlers:
            handler.removeFilter(self._make_way)

    def show(self, text: str) -> None:
        """Put ``text`` (without colours; cut to the terminal's width) in its place."""
        if self._shown:
            self._write(f"\r\x1b[2K{cut(text, width() - 1)}")
            self._stands = True

    def clear(self) -> None:
        """Take it away."""
        if self._stands:
            self._stands = False
            self._write("\r\x1b[2K")

    def _make_way(self, record: logging.LogRecord) -> bool:
        self.clear()
        return True


class Rate:
    """A growing count -> how fast it grows, over about the last second."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, int]] = []

    def of(self, count: int) -> float:
        """Per second."""
        now = time.monotonic()
        self._marks.append((now, count))
        while len(self._marks) > 2 and now - self._marks[1][0] > 1.0:
            del self._marks[0]
        then, before = self._marks[0]
        return (count - before) / (now - then) if now > then else 0.0
