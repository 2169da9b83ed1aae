"""Entry -> ``text/event-stream`` bytes; ``Last-Event-ID`` -> positions. Pure.

The format is that of the HTML standard, "Server-sent events". Envelopes go out byte by byte as they stand in the log;
only a payload that is too long is cut, and an entry that is no event is shown as such.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from messaging.errors import shown

RETRY_MS = 2000
BEAT = b": beat\n"  # no empty line behind it: some clients would take that for an event without data

_ID = re.compile(r"([0-9a-f]{16}|)\.([0-9]{1,20})-([0-9]{1,20})", re.ASCII)
_LARGEST = 2**64 - 1
_NEWLINES = bytes.maketrans(b"\r\n", b"  ")

_Attribute = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class Place(NamedTuple):
    """A position in one life of a partition. ``epoch`` is "" before the partition's first event."""

    epoch: str
    ms: int
    seq: int

    def __str__(self) -> str:
        return "%s.%d-%d" % self  # noqa: UP031 (an f-string makes three attributes of it first)

    def before(self) -> Place:
        """The last place that is still before this one."""
        if self.seq:
            return Place(self.epoch, self.ms, self.seq - 1)
        return Place(self.epoch, self.ms - 1, _LARGEST) if self.ms else self

    def after(self) -> Place:
        """The first place that is behind this one."""
        if self.seq < _LARGEST:
            return Place(self.epoch, self.ms, self.seq + 1)
        return Place(self.epoch, self.ms + 1, 0)


Where = tuple[Place, ...]  # one place for each partition: up to where somebody has read


class _Envelope(msgspec.Struct):
    """What an entry needs to be shown; the rest is skipped, though it must be JSON."""

    specversion: Literal["1.0"]
    id: _Attribute
    source: _Attribute
    type: _Attribute
    subject: _Attribute


_envelope = msgspec.json.Decoder(_Envelope)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


# -- ids ----------------------------------------------------------------------------------------------------------


def format_id(where: Where) -> str:
    """Places -> the ``id:`` of a frame: ``<epoch>.<ms>-<seq>``, several joined by commas in partition order."""
    return ",".join(map(str, where))


def parse_id(text: str, *, partitions: int) -> Where | None:
    """A ``Last-Event-ID`` -> places, ``None`` for anything that is not one of ours or has another number of places."""
    if len(text) > 60 * partitions:
        return None
    found = [_ID.fullmatch(part) for part in text.split(",")]
    if len(found) != partitions:
        return None
    places = [Place(m[1], int(m[2]), int(m[3])) for m in found if m and max(int(m[2]), int(m[3])) <= _LARGEST]
    return tuple(places) if len(places) == partitions else None


# -- frames -------------------------------------------------------------------------------------------------------


def with_id(where: Where, data: bytes) -> bytes:
    """A frame from its ``id:`` and the rest, which :func:`message` made."""
    places = str(where[0]) if len(where) == 1 else format_id(where)
    return b"id: %b\n%b" % (places.encode(), data)


def named(name: str, facts: Any, *, id: str = "", retry: int | None = None) -> bytes:
    """An event with a name of its own: ``hello``, ``live``, ``gap``, ``bye``."""
    head = f"retry: {retry}\n" if retry is not None else ""
    head += f"id: {id}\n" if id else ""
    return b"%bevent: %b\ndata: %b\n\n" % (head.encode(), name.encode(), msgspec.json.encode(facts))


def comment(text: str) -> bytes:
    """A line that no client shows."""
    return b": %b\n" % text.replace("\n", " ").encode()


def channel_of(body: bytes | None) -> str | None:
    """The channel of an entry, ``None`` if it is no event: :func:`message` without the frame."""
    try:
        (body or b"").decode()
        return _envelope.decode(body or b"").subject
    except (UnicodeDecodeError, msgspec.MsgspecError, RecursionError):
        return None


def message(
    location: str, body: bytes | None, fields: Sequence[bytes], *, limit: int, redacted: bool = False
) -> tuple[str | None, bytes]:
    """An entry -> (channel, the frame without its id). The channel is ``None`` if the entry is no event.

    A payload above ``limit`` bytes is cut: ``event`` is then without data, and ``cut`` has the payload's size and the
    text of its first ``limit`` bytes. ``redacted``: the body is not what was published, and the frame says so.
    """
    if body is None:
        reason = f"the entry has no field 'e': {shown(b' '.join(fields))}"
        return None, _unreadable(location, reason, b" ".join(fields), limit)
    try:
        body.decode()
        channel = _envelope.decode(body).subject
    except UnicodeDecodeError as error:
        return None, _unreadable(location, f"not UTF-8: {error.reason} at byte {error.start}", body, limit)
    except (msgspec.MsgspecError, RecursionError) as error:
        return None, _unreadable(location, f"not an event: {error}", body, limit)
    if len(body) > limit and (cut := _cut(location, body, limit, redacted)) is not None:
        return channel, cut
    if b"\n" in body or b"\r" in body:  # between tokens only: inside a JSON string they are escaped
        body = body.translate(_NEWLINES)
    if redacted:
        return channel, b'data: {"at":"%b","event":%b,"redacted":true}\n\n' % (location.encode(), body)
    return channel, b'data: {"at":"%b","event":%b}\n\n' % (location.encode(), body)


def withheld(location: str, reason: str, size: int) -> bytes:
    """The frame, without its id, of an entry of which nothing may be shown."""
    return _data({"at": location, "error": reason, "cut": {"size": size, "text": ""}})


def _unreadable(location: str, reason: str, raw: bytes, limit: int) -> bytes:
    return _data({"at": location, "error": reason, "cut": {"size": len(raw), "text": _text(raw[:limit])}})


def _cut(location: str, body: bytes, limit: int, redacted: bool) -> bytes | None:
    """A frame without the payload if that is above the limit, else ``None``."""
    members = _members.decode(body)
    data, base64 = members.pop("data", None), members.pop("data_base64", None)
    raw = bytes(base64 if data is None and base64 is not None else data or b"")
    if len(raw) <= limit:
        return None
    size, text = len(raw), raw[:limit]
    if data is None:
        size = (size - 2) * 3 // 4 - raw[-3:-1].count(b"=")
        text = _from_base64(raw[1 : 1 + limit])
    elif raw[:1] == b'"' and _is_text(members.get("datacontenttype")):
        whole = msgspec.json.decode(raw, type=str).encode()
        size, text = len(whole), whole[:limit]
        if size <= limit:
            return None
    facts = {"at": location, "event": members, "cut": {"size": size, "text": _text(text)}}
    return _data(facts | {"redacted": True} if redacted else facts)


def _data(facts: Any) -> bytes:
    return b"data: %b\n\n" % msgspec.json.encode(facts).translate(_NEWLINES)


def _is_text(content_type: msgspec.Raw | None) -> bool:
    """Is the payload a text that travels as a JSON string?"""
    return content_type is not None and b"json" not in bytes(content_type).lower()


def _from_base64(start: bytes) -> bytes:
    try:
        return b64decode(start[: len(start) // 4 * 4])
    except (Base64Error, ValueError):
        return start


def _text(start: bytes) -> str:
    """Bytes that may end within a character -> text."""
    return start.decode(errors="ignore") if _only_end_is_torn(start) else start.decode(errors="replace")


def _only_end_is_torn(start: bytes) -> bool:
    try:
        start.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return True
