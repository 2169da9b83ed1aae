"""Patterns of places in JSON -> the same text with what stands there replaced. Pure.

A pattern is a sequence of steps, such as ``("user", "*", "password")``: names of members and numbers of items, in any
case of letters. A step may be a glob; ``**`` stands for any number of steps, none included. The text is read token by
token and never parsed into values: what is not replaced stays byte for byte, and of doubled members none is missed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import msgspec

from messaging.patterns import is_pattern, matches

Pattern = tuple[str, ...]
_State = frozenset[tuple[int, int]]  # (pattern, steps of it that have been taken)

ANY = "**"
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_MAY_BE_ESCAPED = re.compile(r"[\"\\/\x00-\x1f]")  # by other means than \\u, in JSON
_MOST_KNOWN = 10_000
_raw = msgspec.json.Decoder(msgspec.Raw)


class Spots:
    """Some patterns, and what they have learnt of names: a step from place to place is worked out once."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns = [tuple(step.lower() for step in pattern) for pattern in patterns]
        self._start = self._closed({(number, 0) for number in range(len(patterns))})
        self._known: dict[tuple[_State, str], _State] = {}
        words = [_word(pattern) for pattern in self._patterns]
        self._words = None if None in words else {word for word in words if word is not None}

    def replaced(self, text: str, mark: str) -> str:
        """JSON text with ``mark`` (JSON as well) for each value that a pattern names; all of it if it is not JSON."""
        if self._words is not None and "\\u" not in text:
            lower = text.lower()
            if not any(word in lower for word in self._words):
                return text
        try:
            _raw.decode(text)
            return self._walk(text, mark)
        except (msgspec.MsgspecError, ValueError, IndexError, RecursionError):
            return mark

    def _walk(self, text: str, mark: str) -> str:
        out: list[str] = []
        copied = skipping = 0  # up to where the text is in out; levels of a value that is left out
        above: list[_State] = []  # of the containers around
        items: list[int] = []  # the number of the item in each of them; -1: an object
        here = self._start  # the place of the next value
        key_is_next = False
        for found in _TOKEN.finditer(text):
            token = found[0]
            first = token[0]
            if skipping:
                skipping += (first in "{[") - (first in "}]")
                copied = found.end()
            elif first == ",":
                key_is_next = items[-1] < 0
                if not key_is_next:
                    items[-1] += 1
                    here = self._step(above[-1], str(items[-1]))
            elif first == ":":
                pass
            elif first in "}]":
                above.pop()
                items.pop()
                key_is_next = False
            elif key_is_next:
                here = self._step(above[-1], (json.loads(token) if "\\" in token else token[1:-1]).lower())
                key_is_next = False
            elif self._is_named(here):
                out += (text[copied : found.start()], mark)
                copied = found.end()
                skipping = int(first in "{[")
            elif first in "{[":
                above.append(here)
                key_is_next = first == "{"
                items.append(-1 if key_is_next else 0)
                here = self._step(here, "0")
        return "".join([*out, text[copied:]]) if out else text

    def _is_named(self, state: _State) -> bool:
        return any(taken == len(self._patterns[number]) for number, taken in state)

    def _step(self, state: _State, name: str) -> _State:
        if not state:
            return state
        key = (state, name)
        to = self._known.get(key)
        if to is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            to = self._known[key] = self._closed(self._after(state, name))
        return to

    def _after(self, state: _State, name: str) -> set[tuple[int, int]]:
        found = set()
        for number, taken in state:
            pattern = self._patterns[number]
            if taken == len(pattern):
                continue
            if pattern[taken] == ANY:
                found.add((number, taken))
            elif pattern[taken] in ("*", name) or matches(pattern[taken], name):
                found.add((number, taken + 1))
        return found

    def _closed(self, state: set[tuple[int, int]]) -> _State:
        """With what is reached by taking ``**`` for no step."""
        todo = list(state)
        while todo:
            number, taken = todo.pop()
            pattern = self._patterns[number]
            if taken < len(pattern) and pattern[taken] == ANY and (number, taken + 1) not in state:
                state.add((number, taken + 1))
                todo.append((number, taken + 1))
        return frozenset(state)


def _word(pattern: Pattern) -> str | None:
    """A word that stands in every text in which the pattern names something, ``None`` if there is none."""
    plain = [
        step
        for step in pattern
        if not is_pattern(step) and not step.isdecimal() and not _MAY_BE_ESCAPED.search(step)
    ]
    return max(plain, key=len, default=None)
