"""An event -> its subscribers, called here and now, as a worker would, without Redis or a database of ours."""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync

from messaging.binding import bind
from messaging.conf import conf
from messaging.event import Event, new_event
from messaging.subscribers import Subscriber, registered


def deliver(event: Event | str, data: Any = None, **attributes: Any) -> list[str]:
    """Call every subscriber that wants an event; their names, in the order of the calls.

    Takes an event, or what ``publish()`` takes: ``deliver("orders.created", {"id": 1}, key="ann")``. What a subscriber
    raises is raised, :class:`~messaging.errors.PayloadRefused` included.
    """
    if not isinstance(event, Event):
        event = new_event(event, data, source=conf.source, **attributes)
    wanting = [each for each in registered.values() if each.wants(event.channel)]
    for subscriber in wanting:
        _call(subscriber, event)
    return [each.name for each in wanting]


def _call(subscriber: Subscriber, event: Event) -> None:
    arguments = bind(subscriber.function)(event)
    function = async_to_sync(subscriber.function) if subscriber.is_async else subscriber.function
    function(*arguments)
