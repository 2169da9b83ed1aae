"""An event -> the columns of its row. The relay writes them by hand-made SQL, the outbox through the ORM."""

from __future__ import annotations

from base64 import b64encode
from copy import copy
from datetime import datetime
from typing import Any

import msgspec

from messaging import redaction
from messaging.event import Event
from messaging.models import Message


def attributes_of(event: Event) -> str:
    """The CloudEvents attributes that have no column of their own, as a JSON object; "" for none."""
    if not (event.headers or event.traceparent or event.correlation_id or event.causation_id):
        return ""
    tracing = {
        "traceparent": event.traceparent,
        "correlationid": event.correlation_id,
        "causationid": event.causation_id,
    }
    rest = {**event.headers, **{name: value for name, value in tracing.items() if value}}
    return msgspec.json.encode(rest).decode()


def payload_text(event: Event) -> str:
    """The payload as it stands in its column."""
    return b64encode(event.payload).decode() if event.binary else event.payload.decode()


def pending_row(event: Event, now: datetime, *, ordered: bool = False) -> Message:
    """An event that is not in the log yet -> an outbox row."""
    return Message(
        event_id=event.id,
        source=event.source,
        channel=event.channel,
        type=event.type,
        key=event.key,
        time=event.time,
        payload=payload_text(event),
        content_type=event.content_type,
        binary=event.binary,
        attributes=attributes_of(event),
        queued_at=now,
        ordered=ordered,
    )


def seen_by(row: Message, user: Any) -> tuple[Message, bool]:
    """A row as this user may see it, and whether that is less than what is stored. The row itself is left alone."""
    if not redaction.is_on():
        return row, False
    event = row.as_event()
    shown = redaction.redacted(event, user)
    if shown is event:
        return row, False
    seen = copy(row)
    seen.payload, seen.binary, seen.content_type = payload_text(shown), shown.binary, shown.content_type
    seen.key, seen.attributes = shown.key, attributes_of(shown)
    return seen, True
