"""Facts -> a CloudEvents 1.0 JSON event (bytes) -> facts. Pure: no I/O, no Redis, no database.

Rules come from the CloudEvents specification 1.0.2: "Context Attributes" for names and values, its "JSON Event
Format" section 3.1 for ``data`` and ``data_base64``. Lengths are ours, since a row has to hold them.
"""

from __future__ import annotations

import json
import math
import re
import sys
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from django.core.serializers.json import DjangoJSONEncoder

from messaging.errors import InvalidAttribute, InvalidChannel, Unencodable, shown

if sys.version_info >= (3, 14):
    from uuid import uuid7
else:
    from uuid_utils import uuid7

MAX_ATTRIBUTE = 255  # characters of a channel, type, key, id or source: the width of their columns
MAX_HEADER = 4096  # characters of one header's value

JSON = "application/json"
TEXT = "text/plain"
BINARY = "application/octet-stream"

_KNOWN = {
    "specversion": "",
    "id": "id",
    "source": "source",
    "type": "type",
    "subject": "channel",
    "time": "time",
    "datacontenttype": "content_type",
    "partitionkey": "key",
    "correlationid": "correlation_id",
    "causationid": "causation_id",
    "traceparent": "traceparent",
    "data": "",
    "data_base64": "",
    "logid": "",
}
_HEADER_NAME = re.compile(r"[a-z0-9]{1,20}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NOT_IN_CHANNEL = re.compile(r"[\s\x00-\x1f\x7f-\x9f*?\[\]\\\ud800-\udfff]")
_CONTENT_TYPE = re.compile(r"[\w.+*-]+/[\w.+*-]+(\s*;.*)?", re.ASCII)


class NotAnEvent(ValueError):
    """Bytes that are not a CloudEvents 1.0 JSON event that can be stored, with the reason."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One message, as published and as read back.

    ``payload`` holds the data as it travels: JSON text (UTF-8), or the bytes themselves when ``binary``.
    ``location`` is ``<partition>.<ms>-<seq>`` once the event is in the log, ``None`` while it waits in the outbox.
    """

    id: str
    source: str
    type: str
    channel: str
    time: datetime
    payload: bytes
    content_type: str = JSON
    binary: bool = False
    key: str = ""
    correlation_id: str = ""
    causation_id: str = ""
    traceparent: str = ""
    headers: Mapping[str, str] = {}
    location: str | None = None

    @property
    def data(self) -> Any:
        """The payload as Python values, ``bytes`` when binary; ``ValueError`` for JSON that Python cannot hold."""
        return self.payload if self.binary else parse_json(self.payload)


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


# -- checks -------------------------------------------------------------------------------------------------------


def check_channel(channel: str) -> None:
    """Return if it is a channel's name, or raise :class:`InvalidChannel`.

    A channel has 1 to 255 characters, none of them white space, a control character or one of the glob characters
    ``* ? [ ] \\``, so that a name is never mistaken for a pattern.
    """
    if not isinstance(channel, str):
        raise InvalidChannel(f"a channel is a str, not {type(channel).__name__}: {shown(channel)}")
    _check_channel(channel)


@lru_cache(maxsize=4096)
def _check_channel(channel: str) -> None:
    if not channel:
        raise InvalidChannel("a channel has at least one character: ''")
    if len(channel) > MAX_ATTRIBUTE:
        raise InvalidChannel(
            f"a channel has at most {MAX_ATTRIBUTE} characters, this one has {len(channel):,}: {shown(channel)}"
        )
    if bad := _NOT_IN_CHANNEL.search(channel):
        raise InvalidChannel(f"a channel has no {shown(bad.group())} in it: {shown(channel)}")


def check_attribute(name: str, value: str, *, limit: int = MAX_ATTRIBUTE) -> bytes:
    """The value of a string attribute as JSON, or :class:`InvalidAttribute`: 1 to ``limit`` printable characters."""
    if not isinstance(value, str):
        raise InvalidAttribute(f"{name} is a str, not {type(value).__name__}: {shown(value)}")
    if 0 < len(value) <= limit and value.isprintable():  # neither control characters nor surrogates are
        return msgspec.json.encode(value)
    if not value or len(value) > limit:
        raise InvalidAttribute(
            f"{name} has 1 to {limit:,} characters, this one has {len(value):,}: {shown(value)}"
        )
    if bad := _CONTROL.search(value):
        raise InvalidAttribute(
            f"{name} has no control character such as {shown(bad.group())}: {shown(value)}"
        )
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        raise InvalidAttribute(f"{name} has a lone surrogate: {shown(value)}") from None


@lru_cache(maxsize=4096)
def _origin(source: str, type: str, channel: str) -> bytes:
    """The part of the JSON that many events share, between their id and their time."""
    subject = check_attribute("channel", channel)
    return b',"source":%b,"type":%b,"subject":%b,"time":"' % (
        check_attribute("source", source),
        subject if type == channel else check_attribute("type", type),
        subject,
    )


# -- data -> payload ----------------------------------------------------------------------------------------------


def _unknown_to_msgspec(value: Any) -> Any:
    """What msgspec does not know, Django's encoder may: lazy strings and its own types; subclasses by their base."""
    base: Any
    for base in (str, int, float, dict, list, tuple):
        if isinstance(value, base):
            return base(value)
    return DjangoJSONEncoder().default(value)


_json = msgspec.json.Encoder(enc_hook=_unknown_to_msgspec)


def encode_data(data: Any) -> tuple[bytes, str, bool]:
    """Data -> (payload, content type, binary?), or :class:`Unencodable` naming the value.

    Takes JSON values, ``str``, ``bytes``, dataclasses, ``datetime`` and its kin, ``Decimal``, ``UUID``, enums, sets,
    msgspec structs and whatever ``DjangoJSONEncoder`` takes. Refused: NaN and infinities, which JSON does not have.
    """
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data), BINARY, True
    try:
        payload = _json.encode(data)
    except RecursionError:
        raise Unencodable(f"data is nested too deeply: {type(data).__name__}") from None
    except (TypeError, ValueError, OverflowError, UnicodeError) as error:
        raise Unencodable(f"data has no JSON form: {error}: {shown(data)}") from error
    if b"null" in payload and (bad := _not_finite(data)) is not None:  # msgspec writes NaN as null
        raise Unencodable(f"data has no JSON form: {bad!r} is not a JSON number: {shown(data)}")
    return payload, TEXT if isinstance(data, str) else JSON, False


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
        elif not isinstance(value, (str, bytes, int, type(None))):
            todo.extend(_fields_of(value))
    return None


def _fields_of(value: Any) -> list[Any]:
    """The values of a dataclass or struct."""
    names: Any = getattr(value, "__dataclass_fields__", None) or getattr(
        value, "__struct_fields__", ()
    )
    return [getattr(value, name) for name in names]


# -- facts -> event -> bytes --------------------------------------------------------------------------------------


def new_event(
    channel: str,
    data: Any,
    *,
    source: str,
    type: str | None = None,
    key: str | None = None,
    id: str | None = None,
    time: datetime | None = None,
    correlation_id: str | None = None,
    causation_id: str | None = None,
    traceparent: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Event:
    """Facts -> :class:`Event`, or a subclass of :class:`~messaging.errors.InvalidMessage`.

    ``type`` defaults to the channel, ``id`` to a new UUIDv7, ``time`` (aware) to now. ``headers`` become CloudEvents
    extension attributes: names of 1 to 20 lower-case letters and digits, values of 1 to 4,096 characters.
    """
    check_channel(channel)
    if type is not None and not isinstance(type, str):
        raise InvalidAttribute(f"type is a str, not {type.__class__.__name__}: {shown(type)}")
    payload, content_type, binary = encode_data(data)
    if time is None:
        time = datetime.now(UTC)
    elif time.utcoffset() is None:
        raise InvalidAttribute(f"time is an aware datetime, this one has no time zone: {shown(time)}")
    return Event(
        id=new_id() if id is None else id,
        source=source,
        type=channel if type is None else type,
        channel=channel,
        time=time,
        payload=payload,
        content_type=content_type,
        binary=binary,
        key=key or "",
        correlation_id=correlation_id or "",
        causation_id=causation_id or "",
        traceparent=traceparent or "",
        headers=check_headers(headers) if headers else {},
    )


def new_id() -> str:
    """A UUIDv7: ids that grow with time keep the unique index of the rows cheap."""
    return str(uuid7())


def check_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers as a plain dict, or :class:`InvalidAttribute`."""
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name) or name in _KNOWN:
            raise InvalidAttribute(
                "a header's name has 1 to 20 lower-case letters and digits and is not an attribute of the event: "
                f"{shown(name)}"
            )
        check_attribute(f"header {name!r}", value, limit=MAX_HEADER)
    return dict(headers)


def encode(event: Event) -> bytes:
    """Event -> CloudEvents JSON, its data last, or :class:`InvalidAttribute`.

    The channel's own rules are :func:`new_event`'s to check: a foreign channel may have any name.
    """
    parts = [
        b'{"specversion":"1.0","id":',
        check_attribute("id", event.id),
        _origin(event.source, event.type, event.channel),
        format_time(event.time),
        b'"',
    ]
    if event.content_type != JSON:
        parts += (b',"datacontenttype":', check_attribute("datacontenttype", event.content_type))
    if event.key:
        parts += (b',"partitionkey":', check_attribute("partitionkey", event.key))
    if event.correlation_id:
        parts += (b',"correlationid":', check_attribute("correlationid", event.correlation_id))
    if event.causation_id:
        parts += (b',"causationid":', check_attribute("causationid", event.causation_id))
    if event.traceparent:
        parts += (b',"traceparent":', check_attribute("traceparent", event.traceparent))
    if event.headers:
        for name, value in event.headers.items():
            parts += (b',"%b":' % name.encode(), check_attribute(name, value, limit=MAX_HEADER))
    if event.binary:
        parts += (b',"data_base64":"', b64encode(event.payload), b'"}')
    else:
        parts += (b',"data":', event.payload, b"}")
    return b"".join(parts)


def format_time(time: datetime) -> bytes:
    """An aware datetime -> RFC 3339 in UTC with microseconds."""
    utc = time if time.tzinfo is UTC else time.astimezone(UTC)
    if utc.microsecond:  # msgspec leaves a zero fraction out, and takes a fifteenth of isoformat()'s time
        return msgspec.json.encode(utc)[1:-1]
    return utc.isoformat(timespec="microseconds")[:26].encode() + b"Z"


# -- bytes -> event -----------------------------------------------------------------------------------------------

_Attribute = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ATTRIBUTE)]
_NO_DATA = msgspec.Raw(b"null")


class _Plain(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An envelope as our own publishers write it, without headers: nearly all are, and one call reads it."""

    specversion: Literal["1.0"]
    id: _Attribute
    source: _Attribute
    type: _Attribute
    subject: _Attribute
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    data: msgspec.Raw = _NO_DATA
    datacontenttype: Literal["application/json", "text/plain"] = JSON
    partitionkey: str = ""
    correlationid: str = ""
    causationid: str = ""
    traceparent: str = ""

    def is_sound(self) -> bool:
        """Whether what the types cannot say holds as well."""
        rest = f"{self.partitionkey}{self.correlationid}{self.causationid}{self.traceparent}"
        return (
            self.time.tzinfo is UTC
            and f"{self.id}{self.source}{self.type}{self.subject}{rest}".isprintable()
            and len(rest) <= MAX_ATTRIBUTE
        )


_plain = msgspec.json.Decoder(_Plain)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def decode(body: bytes, *, channel: str | None = None, location: str | None = None) -> Event:
    """CloudEvents JSON -> Event, or :class:`NotAnEvent`.

    ``channel`` names the channel on which the bytes arrived and wins over the event's subject. An event without a
    time gets that of its place in the log, ``location``, else now.
    """
    try:
        body.decode()  # Raw does not look into strings; what is stored has to be UTF-8
    except UnicodeDecodeError as error:
        raise NotAnEvent(f"not UTF-8: {error.reason} at byte {error.start}") from None
    try:
        plain = _plain.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return _decode_any(body, channel, location)
    if channel == "" or not plain.is_sound():
        return _decode_any(body, channel, location)
    return Event(
        id=plain.id,
        source=plain.source,
        type=plain.type,
        channel=plain.subject if channel is None else channel,
        time=plain.time,
        payload=bytes(plain.data),
        content_type=plain.datacontenttype,
        key=plain.partitionkey,
        correlation_id=plain.correlationid,
        causation_id=plain.causationid,
        traceparent=plain.traceparent,
        location=location,
    )


def _decode_any(body: bytes, channel: str | None, location: str | None) -> Event:
    """:func:`decode` attribute by attribute: for what other publishers write, and to say what is wrong with it."""
    try:
        fields = _object.decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise NotAnEvent(f"not a JSON object: {error}") from None
    facts: dict[str, Any] = {}
    headers: dict[str, str] = {}
    for name, raw in fields.items():
        known = _KNOWN.get(name)
        if known:
            facts[known] = _string(name, raw)
        elif known is None:
            headers[name] = _extension(name, raw)
    version = bytes(fields.get("specversion", b"missing"))
    if version != b'"1.0"':
        raise NotAnEvent(f'specversion is not "1.0": {shown(version)}')
    if channel is not None:
        facts["channel"] = channel
    for required in ("id", "source", "type", "channel"):
        if not facts.get(required):
            raise NotAnEvent(f"{required} is missing or empty")
    time = facts.get("time")
    facts["time"] = _logged_at(location) if time is None else _time(time)
    data, base64 = fields.get("data"), fields.get("data_base64")
    if base64 is not None:
        if data is not None:
            raise NotAnEvent("both data and data_base64")
        facts["payload"] = _bytes(base64)
        facts["binary"] = True
        facts.setdefault("content_type", BINARY)
    else:
        facts["payload"] = b"null" if data is None else bytes(data)
    if "content_type" in facts and not _CONTENT_TYPE.fullmatch(facts["content_type"]):
        raise NotAnEvent(f"datacontenttype is not a media type: {shown(facts['content_type'])}")
    return Event(**facts, headers=headers, location=location)


def _string(name: str, raw: msgspec.Raw, *, limit: int = MAX_ATTRIBUTE) -> str:
    """The JSON of a string attribute -> str, or :class:`NotAnEvent`."""
    text = bytes(raw)
    if text[:1] != b'"':
        raise NotAnEvent(f"{name} is not a string: {shown(text)}")
    if b"\\" in text:
        try:
            value: str = msgspec.json.decode(text)
        except msgspec.MsgspecError:
            raise NotAnEvent(f"{name} is not a valid string: {shown(text)}") from None
        if _CONTROL.search(value):
            raise NotAnEvent(f"{name} has a control character: {shown(value)}")
    else:
        value = text[1:-1].decode()
    if len(value) > limit:
        raise NotAnEvent(f"{name} has {len(value):,} characters, the limit is {limit:,}: {shown(value)}")
    return value


def _extension(name: str, raw: msgspec.Raw) -> str:
    """The JSON of an extension attribute (string, boolean or integer) -> str, or :class:`NotAnEvent`."""
    if not _HEADER_NAME.fullmatch(name):
        raise NotAnEvent(f"an attribute's name has 1 to 20 lower-case letters and digits: {shown(name)}")
    text = bytes(raw)
    if text[:1] == b'"':
        return _string(name, raw, limit=MAX_HEADER)
    if text in (b"true", b"false") or (len(text) < 20 and text.lstrip(b"-").isdigit()):
        return text.decode()
    raise NotAnEvent(f"attribute {name} is not a string, boolean or integer: {shown(text)}")


def _logged_at(location: str | None) -> datetime:
    """When the entry at ``<partition>.<ms>-<seq>`` was appended, by Redis's clock."""
    if location is None:
        return datetime.now(UTC)
    return datetime.fromtimestamp(int(location.partition(".")[2].partition("-")[0]) / 1000, UTC)


def _time(text: str) -> datetime:
    """RFC 3339 -> aware datetime in UTC, or :class:`NotAnEvent`."""
    try:
        time = datetime.fromisoformat(text)
        if time.utcoffset() is None or len(text) < len("2000-01-01T00:00:00Z"):
            raise ValueError
        return time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise NotAnEvent(f"time is not RFC 3339: {shown(text)}") from None


def _bytes(raw: msgspec.Raw) -> bytes:
    """The JSON of ``data_base64`` -> bytes, or :class:`NotAnEvent`."""
    try:
        text = msgspec.json.decode(bytes(raw), type=str)
        return b64decode(text, validate=True)
    except (msgspec.MsgspecError, ValueError):
        raise NotAnEvent(f"data_base64 is not base64: {shown(bytes(raw))}") from None
