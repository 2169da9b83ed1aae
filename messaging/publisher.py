"""A call -> an entry in the log (and Pub/Sub), or a row in the outbox: ``publish apublish publish_many``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from asgiref.sync import sync_to_async

from messaging import outbox as outbox_rows
from messaging.commits import in_transaction
from messaging.conf import conf
from messaging.errors import InvalidAttribute, MessageTooLarge, shown
from messaging.event import Event, encode, new_event
from messaging.ordered import is_ordered
from messaging.sender import Prepared, asend_one, send, send_one


def publish(
    channel: str,
    data: Any,
    *,
    type: str | None = None,
    key: str | None = None,
    id: str | None = None,
    time: datetime | None = None,
    correlation_id: str | None = None,
    causation_id: str | None = None,
    traceparent: str | None = None,
    headers: Mapping[str, str] | None = None,
    outbox: bool | None = None,
) -> Event:
    """Publish one message and return it as an :class:`~messaging.event.Event`.

    Outside a transaction it goes straight to Redis and the event carries its location in the log. Inside
    ``transaction.atomic()`` of the database ``MESSAGING["DATABASE"]`` it becomes an outbox row of that transaction:
    rolled back means never sent, committed means sent, even if this process dies in between; the event's location is
    ``None`` then. ``outbox=True`` asks for the row, ``outbox=False`` for Redis, wherever the call stands. A message of
    ``ORDERED_CHANNELS`` always is a row, and ``outbox=False`` is refused.

    Raises a subclass of :class:`~messaging.errors.InvalidMessage` for input that cannot be published, of
    :class:`~messaging.errors.BrokerError` when Redis does not take it (never for an outbox row). Costs at most
    ``PUBLISH_BUDGET`` seconds.
    """
    event = new_event(
        channel,
        data,
        source=conf.source,
        type=type,
        key=key,
        id=id,
        time=time,
        correlation_id=correlation_id,
        causation_id=causation_id,
        traceparent=traceparent,
        headers=headers,
    )
    prepared = event, _encoded(event)
    return outbox_rows.put([prepared])[0] if _wants_row(outbox, event) else send_one(prepared)


async def apublish(channel: str, data: Any, *, outbox: bool | None = None, **attributes: Any) -> Event:
    """:func:`publish` for coroutines: same arguments, same result, no thread in between when it goes to Redis."""
    prepared = prepare(channel, data, **attributes)
    if _wants_row(outbox, prepared[0]):
        return (await sync_to_async(outbox_rows.put)([prepared]))[0]
    return await asend_one(prepared)


def publish_many(
    messages: Iterable[tuple[str, Any] | Mapping[str, Any]], *, outbox: bool | None = None
) -> list[Event]:
    """Publish many messages, in their order, hundreds in a round trip.

    Each is a pair ``(channel, data)`` or a mapping of :func:`publish`'s arguments. All are checked before the first
    is sent; if one of them is of an ordered channel, all go through the outbox. If Redis fails on the way, the
    :class:`~messaging.errors.BrokerError` carries in ``published`` the events that are in the log.
    """
    prepared = [_prepare_one(message) for message in messages]
    return (
        outbox_rows.put(prepared) if _wants_row(outbox, *(event for event, _ in prepared)) else send(prepared)
    )


def prepare(channel: str, data: Any, **attributes: Any) -> Prepared:
    """Arguments of :func:`publish` -> the event and its JSON, both checked."""
    event = new_event(channel, data, source=conf.source, **attributes)
    return event, _encoded(event)


def _encoded(event: Event) -> bytes:
    body = encode(event)
    if len(body) > (limit := conf.MAX_EVENT_BYTES):
        raise MessageTooLarge(len(body), limit, event.channel)
    return body


def _prepare_one(message: tuple[str, Any] | Mapping[str, Any]) -> Prepared:
    if isinstance(message, Mapping):
        return prepare(**message)
    if isinstance(message, tuple) and len(message) == 2:
        return prepare(*message)
    raise InvalidAttribute(f"a message is a pair (channel, data) or a mapping, not {shown(message)}")


def _wants_row(asked: bool | None, *events: Event) -> bool:
    for event in events:
        if is_ordered(event.channel):
            if asked is False:
                raise InvalidAttribute(
                    f"outbox=False: channel {shown(event.channel)} is ordered, and leaves through the outbox only"
                )
            return True
    return in_transaction(conf.DATABASE) if asked is None else asked
