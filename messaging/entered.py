"""Text that a person typed or pasted -> the data of a message. Pure; says where JSON breaks.

The JSON is sent as it was typed, less the white space between its tokens: it is checked, but never turned into values
and back, which would round numbers and drop doubled keys.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import msgspec

Kind = Literal["auto", "json", "text"]

MAX_DEPTH = 500  # levels; what reads the log gives up at about twice as many

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|-?\d[\d.eE+-]*|[A-Za-z]+|\s+|.', re.DOTALL)
_WORDS = ("true", "false", "null")


class NotJson(ValueError):
    """Text that is not JSON: why, and where (``line`` and ``column`` from 1)."""

    def __init__(self, reason: str, text: str, at: int) -> None:
        self.reason = reason
        self.at = at
        self.line = text.count("\n", 0, at) + 1
        self.column = at - text.rfind("\n", 0, at)
        super().__init__(f"{reason}, at line {self.line}, column {self.column}")


def data_of(text: str, kind: Kind = "auto") -> str | msgspec.Raw:
    """What :func:`messaging.publish` takes: a ``str`` for a text, the JSON itself for JSON.

    ``"auto"`` takes as JSON what is JSON, and as a text the rest, except that what begins like a JSON object or array
    has to be one: a forgotten bracket must not go out as a text. Raises :class:`NotJson`.
    """
    if kind == "text":
        return text
    text = text.removeprefix("\ufeff")  # a byte order mark that was pasted along
    if kind == "json" or looks_like_json(text):
        return json_of(text)
    try:
        return json_of(text)
    except NotJson:
        return text


def looks_like_json(text: str) -> bool:
    """Whether it begins like a JSON object or array."""
    return text.lstrip()[:1] in ("{", "[")


def json_of(text: str) -> msgspec.Raw:
    """JSON text -> the same on one line, or :class:`NotJson`."""
    words = tokens(text)
    _check_depth(words, text)
    broken = None
    try:
        _syntax.decode(text)
    except json.JSONDecodeError as error:
        broken = NotJson(error.msg.removesuffix(" at"), text, error.pos)
    for at, word in words:  # Python takes NaN and Infinity for JSON
        if word[0].isalpha() and word not in _WORDS and (broken is None or at <= broken.at):
            raise NotJson(f"{_short(word)} is not a JSON value", text, at)
    if broken:
        raise broken
    return msgspec.Raw("".join(word for _, word in words).encode("utf-8", "surrogatepass"))


def tokens(text: str) -> list[tuple[int, str]]:
    """The tokens of a JSON text, each with the index where it begins; of any other text, something."""
    return [(found.start(), found[0]) for found in _TOKEN.finditer(text) if not found[0].isspace()]


def _check_depth(words: list[tuple[int, str]], text: str) -> None:
    depth = 0
    for at, word in words:
        if word in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise NotJson(f"nested more than {MAX_DEPTH} levels deep", text, at)
        elif word in "]}":
            depth -= 1


def _short(word: str) -> str:
    return repr(word if len(word) <= 40 else word[:40] + "…")


def _unread(number: str) -> Any:
    """A number's value is not needed, and one of 5,000 digits could not be had."""
    return None


_syntax = json.JSONDecoder(parse_int=_unread, parse_float=_unread, parse_constant=_unread)
