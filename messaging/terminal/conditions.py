"""``data.user.id=42`` -> does a message meet it? Pure.

A path names an attribute (``channel type id source key time content_type correlation_id causation_id traceparent``),
``headers.NAME``, or a place in the payload: ``data``, ``data.user.id``, ``data.items.0.sku``. Behind it stand ``=``
``!=`` ``<`` ``<=`` ``>`` ``>=`` and a value: JSON, or text as it is.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from messaging.decoder import NotAnEvent
from messaging.errors import shown
from messaging.event import Event, format_time
from messaging.payload import parse_json

ATTRIBUTES = (
    *("channel", "type", "id", "source", "key", "time", "content_type"),
    *("correlation_id", "causation_id", "traceparent"),
)
_FORM = re.compile(r"([^=!<>]+)(=|!=|<=|>=|<|>)(.*)", re.DOTALL)
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NOTHING = object()


class Condition(NamedTuple):
    """One of them. What is not there is equal to nothing, and neither smaller nor larger."""

    path: tuple[str, ...]
    sign: str
    text: str
    value: Any  # what the text is as JSON, or the text

    @classmethod
    def of(cls, text: str) -> Condition:
        """``ValueError`` for anything else."""
        condition = cls.about_anything(text)
        path = condition.path
        if not (
            path[0] == "data"
            or (path[0] == "headers" and len(path) == 2)
            or path in {(a,) for a in ATTRIBUTES}
        ):
            raise ValueError(
                f"neither data..., headers.NAME nor one of {' '.join(ATTRIBUTES)}: {shown('.'.join(path))}"
            )
        return condition

    @classmethod
    def about_anything(cls, text: str) -> Condition:
        """Whatever its path names."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValueError(f"not PATH=VALUE: {shown(text)}")
        return cls(tuple(found[1].strip().split(".")), found[2], found[3], _json_or_text(found[3]))

    def met_by(self, event: Event | NotAnEvent) -> bool:
        """An entry that could not be read meets none."""
        if isinstance(event, NotAnEvent):
            return False
        return self._holds(_look_up(event, self.path))

    def met_in(self, facts: Mapping[str, Any]) -> bool:
        """The same of plain JSON values, the first name of the path among them."""
        return self._holds(_inside(facts, self.path))

    def _holds(self, found: Any) -> bool:
        if self.sign in _ORDER:
            try:
                return found is not _NOTHING and _ORDER[self.sign](found, self.value)
            except TypeError:
                return _is_text(found) and _ORDER[self.sign](found, self.text)
        equal = found == self.text if _is_text(found) else _same(found, self.value)
        return equal == (self.sign == "=")


def _look_up(event: Event, path: tuple[str, ...]) -> Any:
    if path[0] == "time":
        return format_time(event.time).decode()
    if path[0] != "data":
        return event.headers.get(path[1], _NOTHING) if path[0] == "headers" else getattr(event, path[0])
    try:
        value = _NOTHING if event.binary else event.data
    except ValueError:
        return _NOTHING
    return _inside(value, path[1:])


def _inside(value: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(step, _NOTHING)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return _NOTHING
    return value


def _same(found: Any, value: Any) -> bool:
    """As JSON: ``true`` is not 1."""
    return (
        found is not _NOTHING and isinstance(found, bool) == isinstance(value, bool) and bool(found == value)
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _json_or_text(text: str) -> Any:
    try:
        return parse_json(text.encode())
    except (ValueError, msgspec.MsgspecError):
        return text
