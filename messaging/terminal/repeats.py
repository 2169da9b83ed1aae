"""A message with placeholders -> as many lines as are asked for, at their pace. Reads like the lines of a pipe."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

from messaging.errors import InvalidMessage, shown
from messaging.terminal.intake import Line

BATCH = 500
MOST = 10_000_000
PLACEHOLDERS = "{{n}} {{time}} {{id}} {{random 1 6}}"
_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)((?:\s+[^\s{}]+)*)\s*\}\}")


class Template:
    """Text in which ``{{n}} {{time}} {{id}} {{random 1 6}}`` stand for what differs from message to message."""

    def __init__(self, text: str) -> None:
        """Raises :class:`~messaging.errors.InvalidMessage`, which names a placeholder that is none."""
        self._parts: list[str | Callable[[int], str]] = []
        end = 0
        for found in _PLACEHOLDER.finditer(text):
            self._parts += [text[end : found.start()], _maker(found)]
            end = found.end()
        self._parts.append(text[end:])

    def filled(self, number: int) -> str:
        """The message with this number, counted from 1."""
        return "".join(part if isinstance(part, str) else part(number) for part in self._parts)


def _maker(found: re.Match[str]) -> Callable[[int], str]:
    name, arguments = found[1], found[2].split()
    if (
        name == "random"
        and len(arguments) == 2
        and all(re.fullmatch(r"-?\d{1,18}", each) for each in arguments)
    ):
        low, high = sorted(int(each) for each in arguments)
        return lambda number: str(random.randint(low, high))  # noqa: S311 (an example's number)
    if not arguments and name == "n":
        return str
    if not arguments and name == "id":
        return lambda number: str(uuid4())
    if not arguments and name == "time":
        return lambda number: datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    raise InvalidMessage(f"{shown(found[0])} is no placeholder: there are {PLACEHOLDERS}")


class Repeats:
    """``count`` lines of a template, ``delay`` seconds apart."""

    def __init__(self, template: Template, *, count: int, delay: float) -> None:
        self._template = template
        self._count = count
        self._delay = delay
        self._made = 0
        self._due = time.monotonic()

    @property
    def ended(self) -> bool:
        return self._made >= self._count

    def wait(self, seconds: float) -> bool:
        """Is the next one due, within so many seconds?"""
        left = self._due - time.monotonic()
        if left > 0:
            time.sleep(min(left, seconds))
        return time.monotonic() >= self._due

    def read(self) -> list[Line]:
        """Those that are due now."""
        most = 1 if self._delay else BATCH
        first = self._made + 1
        self._made = min(self._count, self._made + most)
        self._due += self._delay
        return [self._line(number) for number in range(first, self._made + 1)]

    def _line(self, number: int) -> Line:
        raw = self._template.filled(number).encode(errors="surrogateescape")
        return Line(number, raw, len(raw))
