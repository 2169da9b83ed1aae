"""Bytes from a publisher that knows nothing of us -> an event's bytes. Pure; nothing is ever refused.

CloudEvents are kept as they are; JSON, text and arbitrary bytes are wrapped. Our own messages come by here too, on
their way to the outside world, and are told by the ``logid`` that the append script puts at their end.
"""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256

import msgspec

from messaging.attributes import MAX_ATTRIBUTE, check_channel
from messaging.decoder import NotAnEvent, decode
from messaging.errors import InvalidChannel, InvalidMessage
from messaging.event import Event, encode, new_id
from messaging.payload import BINARY, JSON, TEXT, is_too_deep

PUBSUB = "/redis/pubsub"  # the source of what came over Pub/Sub
LIST = "/redis/list"  # the source of what came from a list

_LOGID = re.compile(rb',"logid":"([0-9a-f]{16})\.\d+\.\d+-\d+"\}')
_LOGID_BYTES = 80  # no mark is longer
_RAW_CHANNEL_BYTES = 3000  # of an odd name are kept, as base64 within a header's limit
CUT_BYTES = 64 * 1024

_raw = msgspec.json.Decoder(msgspec.Raw)
_NOT_PRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")


def own_epoch(published: bytes) -> str | None:
    """The epoch of the log that a published message already stands in, ``None`` for a foreign message."""
    tail = published[-_LOGID_BYTES:]
    found = _LOGID.search(tail)
    return found[1].decode() if found and found.end() == len(tail) else None


def channel_name(raw: bytes) -> tuple[str, dict[str, str]]:
    """The name of a foreign channel or list -> a name that can be stored, and headers with the original if it differs.

    Bytes that are not UTF-8, control characters and white space are written as ``\\xNN``; a name of more than
    255 characters ends in a digest of the whole.
    """
    try:
        name = raw.decode()
        check_channel(name)
        return name, {}
    except (UnicodeDecodeError, InvalidChannel):
        pass
    name = raw.decode(errors="backslashreplace") or "(empty)"
    name = _NOT_PRINTABLE.sub(
        lambda found: found[0].encode("unicode_escape").decode() if found[0] != " " else "\\x20", name
    )
    if len(name) > MAX_ATTRIBUTE:
        name = f"{name[:200]}…{sha256(raw).hexdigest()[:16]}"
    return name, {"rawchannel": b64encode(raw[:_RAW_CHANNEL_BYTES]).decode()}


def envelope(raw: bytes, *, channel: bytes, source: str, limit: int) -> bytes:
    """Foreign bytes -> CloudEvents JSON. Of more than ``limit`` bytes only the first 64 KiB are kept, and the header
    ``originalsize`` says how many there were."""
    name, headers = channel_name(channel)
    if len(raw) <= limit and raw[:1] == b"{" and b'"specversion"' in raw:
        try:
            return encode(decode(raw, channel=name))
        except (NotAnEvent, InvalidMessage):
            pass  # something that only looks like one is wrapped whole, as any other JSON
    if len(raw) > limit:
        headers["originalsize"] = str(len(raw))
        raw = raw[:CUT_BYTES]
    payload, content_type, binary = payload_of(raw)
    event = Event(
        id=new_id(),
        source=source,
        type=name,
        channel=name,
        time=datetime.now(UTC),
        payload=payload,
        content_type=content_type,
        binary=binary,
        headers=headers,
    )
    return encode(event)


def payload_of(raw: bytes) -> tuple[bytes, str, bool]:
    """Foreign bytes -> (payload, content type, binary?): JSON stays, text becomes a JSON string, the rest is binary."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return raw, BINARY, True
    try:
        _raw.decode(raw)
        if not is_too_deep(raw):
            return raw, JSON, False
    except (msgspec.MsgspecError, RecursionError):
        pass
    return msgspec.json.encode(text), TEXT, False
