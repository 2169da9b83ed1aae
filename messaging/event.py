"""Facts -> an event -> CloudEvents 1.0 JSON (bytes). Pure: no I/O, no Redis, no database.

The form is that of the CloudEvents specification 1.0.2, "JSON Event Format"; its section 3.1 is about ``data`` and
``data_base64``. The way back is :mod:`messaging.decoder`.
"""

from __future__ import annotations

import sys
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from messaging.attributes import (
    check_attribute,
    check_channel,
    check_header,
    check_headers,
    plain,
)
from messaging.errors import InvalidAttribute, shown
from messaging.payload import JSON, encode_data, parse_json

if sys.version_info >= (3, 14):
    from uuid import uuid7
else:
    from uuid_utils import uuid7


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


@lru_cache(maxsize=4096)
def _origin(source: str, type: str, channel: str) -> bytes:
    """The part of the JSON that many events share, between their id and their time."""
    subject = check_attribute("channel", channel)
    return b',"source":%b,"type":%b,"subject":%b,"time":"' % (
        check_attribute("source", source),
        subject if type == channel else check_attribute("type", type),
        subject,
    )


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
    extension attributes: names of 1 to 20 lower-case letters and digits, values of up to 4,096 characters.
    """
    channel = check_channel(channel)
    payload, content_type, binary = encode_data(data)
    return Event(
        id=new_id() if id is None else plain("id", id),
        source=source,
        type=channel if type is None else plain("type", type),
        channel=channel,
        time=datetime.now(UTC) if time is None else _in_utc(time),
        payload=payload,
        content_type=content_type,
        binary=binary,
        key="" if key is None else plain("key", key),
        correlation_id="" if correlation_id is None else plain("correlation_id", correlation_id),
        causation_id="" if causation_id is None else plain("causation_id", causation_id),
        traceparent="" if traceparent is None else plain("traceparent", traceparent),
        headers={} if headers is None else check_headers(headers),
    )


def _in_utc(time: datetime) -> datetime:
    """An aware datetime in UTC, of no subclass; :class:`InvalidAttribute` for anything else."""
    if not isinstance(time, datetime) or time.utcoffset() is None:
        raise InvalidAttribute(f"time is an aware datetime, not {shown(time)}")
    try:
        utc = time.astimezone(UTC)
    except OverflowError:
        raise InvalidAttribute(f"time is outside the years 1 to 9999 in UTC: {shown(time)}") from None
    return datetime.combine(utc.date(), utc.time(), UTC)


def new_id() -> str:
    """A UUIDv7: ids that grow with time keep the unique index of the rows cheap."""
    return str(uuid7())


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
    if event.content_type != JSON or event.binary:
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
            parts += (b',"%b":' % name.encode(), check_header(name, value))
    if event.binary:
        parts += (b',"data_base64":"', b64encode(event.payload), b'"}')
    else:
        parts += (b',"data":', event.payload, b"}")
    return b"".join(parts)


def format_time(time: datetime) -> bytes:
    """An aware datetime -> RFC 3339 in UTC with microseconds."""
    utc = time if time.tzinfo is UTC else time.astimezone(UTC)
    if utc.microsecond and utc.__class__ is datetime:
        # A fifteenth of isoformat()'s time; but msgspec leaves a zero fraction out, and knows no subclasses.
        return msgspec.json.encode(utc)[1:-1]
    return utc.isoformat(timespec="microseconds")[:26].encode() + b"Z"
