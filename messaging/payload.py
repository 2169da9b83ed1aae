"""Data -> a payload: JSON text, or bytes -> Python values again. Pure."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import Enum
from itertools import accumulate
from typing import Any

import msgspec
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.functional import Promise

from messaging.errors import Unencodable, shown

JSON = "application/json"
TEXT = "text/plain"
BINARY = "application/octet-stream"

MAX_DEPTH = 500  # levels of nesting; what reads the log gives up at about twice as many

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_NOT_A_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def _unknown_to_msgspec(value: Any) -> Any:
    """What msgspec does not know, Django's encoder may: lazy strings and its own types; subclasses by their base."""
    if isinstance(value, str):
        return str.__str__(value)  # str() of a SafeString is a SafeString
    base: Any
    for base in (int, float, dict, list, tuple):
        # Of its own class it was refused for another reason: a tuple as a key, for example.
        if isinstance(value, base) and value.__class__ is not base:
            return base(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return DjangoJSONEncoder().default(value)


_json = msgspec.json.Encoder(enc_hook=_unknown_to_msgspec)
_raw = msgspec.json.Decoder(msgspec.Raw)


def encode_data(data: Any) -> tuple[bytes, str, bool]:
    """Data -> (payload, content type, binary?), or :class:`Unencodable` naming the value.

    Takes JSON values, ``str``, ``bytes`` (within other data they become base64 text), dataclasses, ``datetime`` and
    its kin, ``Decimal``, ``UUID``, enums, sets, msgspec structs, ``msgspec.Raw`` (JSON that is text already) and
    whatever ``DjangoJSONEncoder`` takes. The keys of a dict are strings, numbers, dates, UUIDs or enums. Refused: NaN
    and infinities, which JSON does not have, and more than 500 levels of nesting.
    """
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data), BINARY, True
    try:
        if isinstance(data, Promise):
            data = str(data)
        payload = _json.encode(data)
        if isinstance(data, msgspec.Raw):
            payload.decode()
            _raw.decode(payload)
    except RecursionError:
        raise Unencodable(f"data is nested too deeply: {type(data).__name__}") from None
    except Exception as error:  # of objects that are asked for their fields or their text, anything
        value = bytes(data) if isinstance(data, msgspec.Raw) else data
        raise Unencodable(f"data has no JSON form: {error}: {shown(value)}") from error
    if b"null" in payload and (bad := _not_finite(data)) is not None:  # msgspec writes NaN as null
        raise Unencodable(f"data has no JSON form: {bad!r} is not a JSON number: {shown(data)}")
    if payload.count(b"[") + payload.count(b"{") > MAX_DEPTH and is_too_deep(payload):
        raise Unencodable(f"data is nested more than {MAX_DEPTH} levels deep: {type(data).__name__}")
    return payload, TEXT if isinstance(data, str) else JSON, False


def is_too_deep(payload: bytes) -> bool:
    """Is this JSON nested deeper than ``MAX_DEPTH``? The brackets in its strings are looked at in doubt only."""
    if payload.count(b"[") + payload.count(b"{") <= MAX_DEPTH:
        return False
    return _depth(payload) > MAX_DEPTH and _depth(_STRING.sub(b"", payload)) > MAX_DEPTH


def _depth(payload: bytes) -> int:
    return max(accumulate(map(_STEPS.__getitem__, payload.translate(None, _NOT_A_BRACKET))), default=0)


def _not_finite(data: Any) -> float | None:
    """The first NaN or infinity in nested data."""
    todo = [data]
    while todo:
        value = todo.pop()
        if isinstance(value, float):
            if not math.isfinite(value):
                return value
        elif isinstance(value, Mapping):
            todo.extend(value.values())
        elif isinstance(value, (list, tuple, set, frozenset)):
            todo.extend(value)
        elif isinstance(value, Enum):
            todo.append(value.value)
        elif not isinstance(value, (str, bytes, int, type(None))):
            todo.extend(_fields_of(value))
    return None


def _fields_of(value: Any) -> Iterator[Any]:
    """The values of a dataclass, a struct or an attrs object."""
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
    else:
        names = [field.name for field in getattr(value, "__attrs_attrs__", ())]
        names += getattr(value, "__struct_fields__", ())
    for name in names:
        yield getattr(value, name, None)


def parse_json(text: bytes | str) -> Any:
    """JSON text -> Python values; takes what msgspec is too strict for (lone surrogates, 1e400) and raises
    ``ValueError`` for what Python itself refuses (an integer of more than 4,300 digits, nesting too deep)."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None
