"""What a person typed into the search field -> which messages are meant. Pure; the same rules as the page's filters.js.

``foo -bar "two words" channel:orders.* type:paid id:0198 key:k1 data.user.id:42``: all terms must hold, ``-`` turns one
around. A word is looked for in channel, type and payload, in any case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from messaging.patterns import matches
from messaging.payload import JSON, parse_json

_TERM = re.compile(r'(-)?(?:(channel|type|id|key|data(?:\.[^\s:."]+)+):)?(?:"([^"]*)"?|(\S+))')
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_IS_JSON = re.compile(r"application/([\w.+-]*\+)?json\b", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", re.ASCII)

Path = Sequence[str]


class Sought(NamedTuple):
    """What of a message is searched. ``payload``: JSON text, the text itself, or base64 when ``binary``."""

    channel: str
    type: str
    id: str
    key: str
    payload: str
    is_json: bool
    binary: bool = False

    @classmethod
    def of(
        cls, *, channel: str, type: str, id: str, key: str, payload: str, content_type: str, binary: bool
    ) -> Sought:
        """From a message's columns: a text travels as a JSON string, and is searched as what it says."""
        is_json = not binary and _IS_JSON.match(content_type or JSON) is not None
        if not binary and not is_json:
            try:
                text = parse_json(payload)
            except ValueError:
                text = None
            is_json = not isinstance(text, str)
            payload = text if isinstance(text, str) else payload
        return cls(channel, type, id, key, payload, is_json, binary)


Test = Callable[[Sought], bool]


class Term(NamedTuple):
    negated: bool
    field: str
    text: str


def parse(text: str) -> list[Term]:
    """The terms of a search, in their order."""
    found = []
    for minus, field, quoted, word in _TERM.findall(text):
        wanted = quoted or word
        if wanted and wanted != "-":
            found.append(Term(minus == "-", field, wanted))
    return found


def compile_search(text: str) -> Test | None:
    """A function that says whether a message is meant; ``None`` when all are."""
    tests = [(_test(term.field, term.text), term.negated) for term in parse(text)]
    if not tests:
        return None
    return lambda sought: all(test(sought) != negated for test, negated in tests)


def _test(field: str, wanted: str) -> Test:
    lower = wanted.lower()
    if field == "channel":
        return lambda sought: matches(wanted, sought.channel)
    if field == "type":
        return lambda sought: lower in sought.type.lower()
    if field == "id":
        return lambda sought: sought.id.lower().startswith(lower)
    if field == "key":
        return lambda sought: sought.key.lower() == lower
    if field:
        return _field_test(field.split(".")[1:], lower)
    return lambda sought: lower in f"{sought.channel}\n{sought.type}\n{_searchable(sought)}".lower()


def _searchable(sought: Sought) -> str:
    """The payload as a reader sees it: ``\\u00e9`` typed as é is found too."""
    if sought.binary:
        return ""
    if "\\u" not in sought.payload:
        return sought.payload
    return sought.payload + _ESCAPE.sub(lambda found: chr(int(found[1], 16)), sought.payload)


def _field_test(path: Path, wanted: str) -> Test:
    number = float(wanted) if _NUMBER.fullmatch(wanted) else None

    def test(sought: Sought) -> bool:
        if not sought.is_json:
            return False
        try:
            value = parse_json(sought.payload)
        except ValueError:
            return False
        for step in path:
            if isinstance(value, dict) and step in value:
                value = value[step]
            elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
                value = value[int(step)]
            else:
                return False
        if value is None or isinstance(value, bool):
            return {None: "null", True: "true", False: "false"}[value] == wanted
        if isinstance(value, (int, float)):
            return number is not None and number == value
        text = (
            value
            if isinstance(value, str)
            else json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
        )
        return wanted in text.lower()

    return test
