"""A task's arguments and its return value -> JSON, the same again on the other side; a job's body and back. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import Any
from uuid import UUID

import msgspec

from messaging.errors import TaskTooLarge, TaskUnreadable, UnsupportedValue, shown
from messaging.payload import MAX_DEPTH, is_too_deep


class Body(msgspec.Struct, omit_defaults=True):
    """What the queue carries without looking into it. Priority and queue are the job's own."""

    task: str  # import path
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    run_after: str = ""  # ISO 8601 to the microsecond; the job's due time has milliseconds
    written_us: int = 0  # microseconds since 1970: when it was written to an outbox; 0: it was not
    options: dict[str, Any] = {}  # those that using() changed, see overrides.py


_TEXTS = Decimal, UUID, date, time, timedelta, PurePath  # what str() of it says all about
_encoder = msgspec.json.Encoder()
_body_decoder = msgspec.json.Decoder(Body)


def plain(value: Any, where: str) -> Any:
    """A value -> the same of JSON's own types, as Django's ``normalize_json`` has it: tuples become lists, bytes text.

    Raises :class:`UnsupportedValue` for what would come back as something else, and says ``where`` it stands.
    """
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is float:
        if not math.isfinite(value):
            raise UnsupportedValue(f"Unsupported value: {value!r} at {where}: JSON has no such number")
        return value
    if kind is list or kind is tuple:
        return [plain(each, f"{where}[{index}]") for index, each in enumerate(value)] if value else []
    if isinstance(value, Mapping):
        return {_key(key, where): plain(each, f"{where}[{key!r}]") for key, each in value.items()}
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise UnsupportedValue(
                f"Unsupported value: {shown(value)} at {where}: bytes are UTF-8 text"
            ) from None
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return plain(float(value), where)
    if isinstance(value, Sequence):
        return [plain(each, f"{where}[{index}]") for index, each in enumerate(value)]
    raise UnsupportedValue(f"Unsupported type: {kind} at {where}: {shown(value)}; {_instead(value, where)}")


def _instead(value: object, where: str) -> str:
    """What to do about a value that JSON has no type for."""
    verb = "return" if where.startswith("return value") else "pass"
    if isinstance(value, _TEXTS):
        return f"{verb} str() of it, or a key to look it up by"
    if isinstance(value, Set):
        return f"{verb} list() of it"
    return f"{verb} a key to look it up by"


def _key(key: object, where: str) -> str:
    if type(key) is str:
        return key
    if isinstance(key, str):
        return str.__str__(key)
    raise UnsupportedValue(
        f"Unsupported type: {type(key)} of key {shown(key)} at {where}: in JSON every key is a text"
    )


def plain_call(args: Any, kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """A call's arguments -> the same as JSON has them."""
    try:
        return plain(list(args), "args") if args else [], plain(kwargs, "kwargs") if kwargs else {}
    except RecursionError:
        raise UnsupportedValue(f"arguments are nested more than {MAX_DEPTH} levels deep") from None


def encode_body(body: Body, *, limit: int) -> bytes:
    """A body of plain values -> JSON; raises :class:`TaskTooLarge`, :class:`UnsupportedValue`."""
    encoded = _encode(body, f"arguments of {body.task}")
    if len(encoded) > limit:
        parts = {f"args[{index}]": each for index, each in enumerate(body.args)} | {
            f"kwargs[{name!r}]": each for name, each in body.kwargs.items()
        }
        largest = max(parts, key=lambda name: len(_encoder.encode(parts[name])), default="")
        raise TaskTooLarge(
            f"arguments of {body.task}", len(encoded), limit, f"{largest}: {shown(parts.get(largest))}"
        )
    return encoded


def encode_return(value: Any, task: str, *, limit: int) -> bytes:
    """What a task returned -> JSON; raises :class:`UnsupportedValue` or :class:`TaskTooLarge`."""
    if value is None:
        return b"null"
    try:
        value = plain(value, "return value")
    except RecursionError:
        raise UnsupportedValue(f"return value is nested more than {MAX_DEPTH} levels deep") from None
    encoded = _encode(value, f"return value of {task}")
    if len(encoded) > limit:
        raise TaskTooLarge(f"return values of {task}", len(encoded), limit, shown(value))
    return encoded


def decode_body(body: bytes) -> Body:
    """JSON -> a body, or :class:`TaskUnreadable`."""
    try:
        return _body_decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise TaskUnreadable(f"the job's body is not that of a task: {error}: {shown(body)}") from None


def decode_return(result: bytes | None) -> Any:
    """JSON -> what a task returned."""
    return None if result is None or result == b"null" else msgspec.json.decode(result)


def _encode(value: Any, what: str) -> bytes:
    try:
        encoded = _encoder.encode(value)
    except (
        ValueError,
        RecursionError,
    ) as error:  # half a surrogate pair, an integer of more than 4,300 digits
        raise UnsupportedValue(f"Unsupported value: {what} have no JSON form: {error}") from None
    if is_too_deep(encoded):
        raise UnsupportedValue(f"{what} are nested more than {MAX_DEPTH} levels deep")
    return encoded
