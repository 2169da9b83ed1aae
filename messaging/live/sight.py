"""An entry -> the part of its frame that everybody sees; a frame -> the same for one user, where that differs.

Without redaction that is :func:`messaging.frames.message`. What does not depend on who looks is redacted once, when
the frame is made, and shared as ever. With a function that asks for the user, the event stays beside its frame, and
each user has a feed of one's own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from django.contrib.auth.models import AnonymousUser

from messaging import redaction
from messaging.conf import conf, of_settings
from messaging.decoder import NotAnEvent, decode
from messaging.event import encode
from messaging.frames import channel_of, message, withheld
from messaging.live.ring import Item

# Channel, the frame without its id, and what is kept beside it, if anything is.
Framed = tuple[str | None, bytes] | tuple[str | None, bytes, bytes | None]
Framer = Callable[[str, bytes | None, Sequence[bytes]], Framed]

_shared: WeakValueDictionary[str, Sight] = WeakValueDictionary()
_lock = threading.Lock()


@of_settings
def framer() -> Framer:
    """What makes frames, by the settings: (location, body, fields) -> :data:`Framed`."""
    if not redaction.is_on():
        return partial(message, limit=conf.LIVE_PAYLOAD_BYTES)
    return _kept if redaction.asks_user() else _redacted


def _redacted(location: str, body: bytes | None, fields: Sequence[bytes]) -> Framed:
    return _kept(location, body, fields)[:2]


def _kept(
    location: str, body: bytes | None, fields: Sequence[bytes]
) -> tuple[str | None, bytes, bytes | None]:
    try:
        event = decode(body or b"", location=location)
    except NotAnEvent:
        size = len(body) if body is not None else sum(map(len, fields))
        return channel_of(body), withheld(location, redaction.UNREADABLE, size), None
    shown = redaction.for_everybody(event)
    if changed := shown is not event:
        body = encode(shown)
    channel, data = message(location, body, (), limit=conf.LIVE_PAYLOAD_BYTES, redacted=changed)
    return channel, data, body


class Sight:
    """What one user gets to see. Streams of the same user share it, and their feeds if they ask for the same."""

    def __init__(self, user: Any) -> None:
        self._user = user

    @staticmethod
    def of(user: Any) -> Sight | None:
        """For a freshly loaded user, or ``None``: nobody in particular. ``None`` if all see the same. Blocks: rights
        are loaded here, since the function that asks for them is called on the event loop."""
        if not redaction.asks_user():
            return None
        looking = AnonymousUser() if user is None else user
        looking.get_all_permissions()
        with _lock:
            sight = _shared.get(str(looking.pk))
            if sight is None:
                sight = _shared[str(looking.pk)] = Sight(looking)
        sight._user = looking
        return sight

    def item(self, item: Item) -> Item:
        """As this user sees it."""
        if item.body is None or item.everyone:
            return item
        own = item.own
        location = f"{item.partition}.{own.ms}-{own.seq}"
        event = decode(item.body, location=location)
        shown = redaction.for_user(event, self._user)
        if shown is event:
            return item
        _, data = message(location, encode(shown), (), limit=conf.LIVE_PAYLOAD_BYTES, redacted=True)
        return Item.of(item.partition, item.where, item.channel, data)


def seen(items: Iterable[Item], sight: Sight | None) -> list[Item]:
    """As the bearer of this sight sees them."""
    return list(items) if sight is None else [sight.item(item) for item in items]
