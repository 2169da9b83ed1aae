"""CloudEvents 1.0 JSON (bytes) -> an event, or the reason why it is none. Pure.

The form is that of the CloudEvents specification 1.0.2, "JSON Event Format"; its section 2.2 is about ``null``, which
stands for an attribute that is not set. Lengths are ours, since a row has to hold them.
"""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec

from messaging.attributes import CONTROL, HEADER_NAME, KNOWN, MAX_ATTRIBUTE, MAX_HEADER
from messaging.errors import shown
from messaging.event import Event
from messaging.payload import BINARY

_CONTENT_TYPE = re.compile(r"[\w.+*-]+/[\w.+*-]+(\s*;.*)?", re.ASCII)


class NotAnEvent(ValueError):
    """Bytes that are not a CloudEvents 1.0 JSON event that can be stored, with the reason."""


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
    datacontenttype: Literal["application/json", "text/plain"] = "application/json"
    partitionkey: _Attribute = ""
    correlationid: _Attribute = ""
    causationid: _Attribute = ""
    traceparent: _Attribute = ""

    def is_sound(self) -> bool:
        """Whether what the types cannot say holds as well."""
        words = f"{self.id}{self.source}{self.type}{self.subject}{self.partitionkey}"
        more = f"{self.correlationid}{self.causationid}{self.traceparent}"
        return words.isprintable() and more.isprintable() and self.time.tzinfo is UTC


_plain = msgspec.json.Decoder(_Plain)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def decode(body: bytes, *, channel: str | None = None, location: str | None = None) -> Event:
    """CloudEvents JSON -> Event, or :class:`NotAnEvent`.

    ``channel`` names the channel on which the bytes arrived. It wins over the event's subject, which is kept as the
    header ``originalsubject``. An event without a time gets that of its place in the log, ``location``, else now.
    """
    try:
        body.decode()  # Raw does not look into strings; what is stored has to be UTF-8
    except UnicodeDecodeError as error:
        raise NotAnEvent(f"not UTF-8: {error.reason} at byte {error.start}") from None
    try:
        plain = _plain.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return _decode_any(body, channel, location)
    if channel not in (None, plain.subject) or not plain.is_sound():
        return _decode_any(body, channel, location)
    return Event(
        id=plain.id,
        source=plain.source,
        type=plain.type,
        channel=plain.subject,
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
        known = KNOWN.get(name)
        if known != "" and bytes(raw) == b"null":
            continue
        if known:
            facts[known] = _string(name, raw)
        elif known is None:
            headers[name] = _extension(name, raw)
    version = bytes(fields.get("specversion", b"missing"))
    if version != b'"1.0"':
        raise NotAnEvent(f'specversion is not "1.0": {shown(version)}')
    if channel is not None:
        if (subject := facts.get("channel")) and subject != channel:
            headers.setdefault("originalsubject", subject)
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
    else:
        value = text[1:-1].decode()
    if not value.isprintable() and CONTROL.search(value):
        raise NotAnEvent(f"{name} has a control character: {shown(value)}")
    if len(value) > limit:
        raise NotAnEvent(f"{name} has {len(value):,} characters, the limit is {limit:,}: {shown(value)}")
    return value


def _extension(name: str, raw: msgspec.Raw) -> str:
    """The JSON of an extension attribute (string, boolean or integer) -> str, or :class:`NotAnEvent`."""
    if not HEADER_NAME.fullmatch(name):
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
    try:
        return datetime.fromtimestamp(int(location.partition(".")[2].partition("-")[0]) / 1000, UTC)
    except (ValueError, OverflowError):  # somebody gave an entry a position beyond the year 9999
        return datetime.now(UTC)


def _time(text: str) -> datetime:
    """RFC 3339 -> aware datetime in UTC, or :class:`NotAnEvent`."""
    try:
        time = datetime.fromisoformat(text.upper())
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
