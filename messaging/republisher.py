"""A stored message -> a new message with the same payload, byte by byte."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from messaging import outbox
from messaging.conf import conf
from messaging.errors import MessageTooLarge
from messaging.event import Event, encode, new_id
from messaging.models import Message
from messaging.sender import Prepared


def prepare_again(message: Message) -> Prepared:
    """A stored message -> the event that repeats it, encoded.

    Payload, content type, channel, type, key, headers and correlation id are the original's. New are the id, the time
    and the source, and ``causationid`` names the original. Raises :class:`~messaging.errors.InvalidMessage` for what
    cannot be sent from here, such as a foreign message above ``MAX_EVENT_BYTES``.
    """
    event = msgspec.structs.replace(
        message.as_event(),
        id=new_id(),
        source=conf.source,
        time=datetime.now(UTC),
        causation_id=message.event_id,
        traceparent="",
        location=None,
    )
    body = encode(event)
    if len(body) > (limit := conf.MAX_EVENT_BYTES):
        raise MessageTooLarge(len(body), limit, event.channel)
    return event, body


def publish_again(messages: Iterable[Message]) -> list[Event]:
    """Publish stored messages again, in the order given, through the outbox of the current transaction.

    All are checked before the first is written; raises what :func:`prepare_again` raises.
    """
    return outbox.put([prepare_again(message) for message in messages])
