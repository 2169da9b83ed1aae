"""Channels and a user -> a signed text that lets its bearer hear them for a short time: ``?ticket=...``

For pages on other hosts and clients without cookies. Who makes a ticket decides; the stream asks no permission of its
bearer. ``LIVE_MAY_HEAR`` is asked nevertheless when there is a user in the ticket, and a user who is no longer active
hears nothing more. A ticket has to be fresh when a stream begins, and not while it is open.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from django.core import signing

from messaging.conf import conf
from messaging.live.filters import Filter

SALT = "messaging.live.ticket"
LONGEST = 8192  # characters


class Ticket(NamedTuple):
    """What is inside. ``user`` is "" if it was made for nobody in particular."""

    channels: tuple[str, ...]
    user: str


def ticket(channels: Iterable[str], *, user: Any = None, seconds: float | None = None) -> str:
    """A ticket for these names and globs, good for ``seconds`` (default: ``LIVE_TICKET_SECONDS``)."""
    names = sorted(set(channels))
    if not names or not all(names):
        raise ValueError("a ticket is for at least one channel; '*' is all of them")
    until = time.time() + (conf.LIVE_TICKET_SECONDS if seconds is None else seconds)
    inside = {"c": names, "u": "" if user is None else str(user.pk), "e": int(until)}
    return signing.dumps(inside, salt=SALT, compress=True)


def read(text: str) -> Ticket | None:
    """What is inside; ``None`` if it is too old, or not one of ours."""
    if len(text) > LONGEST:
        return None
    try:
        inside = signing.loads(text, salt=SALT)
    except signing.BadSignature:
        return None
    if inside["e"] < time.time():
        return None
    return Ticket(Filter.of(inside["c"]).patterns, inside["u"])
