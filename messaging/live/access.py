"""What a client shows and asks for -> what it may hear. Asked once for each stream, and again every minute.

Public channels (``LIVE_PUBLIC``) are for everybody. Else a ticket or a session is needed. With ``LIVE_MAY_HEAR`` that
function decides for each channel and each user who is logged in; without it the permission decides for all channels.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth import get_user, get_user_model
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from messaging.conf import conf
from messaging.live import tickets
from messaging.live.filters import Filter
from messaging.live.rights import Rights, decider
from messaging.live.sight import Sight
from messaging.live.threads import Threads
from messaging.live.tickets import Ticket
from messaging.patterns import matches_any

logger = logging.getLogger("messaging.live")

PERMISSION = "messaging.view_message"
REMEMBER_SECONDS = 2.0  # ten tabs that come back together ask once
MOST_REMEMBERED = 10_000


class Claim(NamedTuple):
    """What a client asks for, and what it shows: all that is needed to ask again."""

    filter: Filter
    session_key: str = ""
    ticket: Ticket | None = None

    @classmethod
    def of(cls, filter_: Filter, *, session_key: str = "", ticket: str = "") -> Claim | None:
        """``None`` for a ticket that is none, or too old. With a ticket and no channels: those of the ticket."""
        if not ticket:
            return cls(filter_, session_key)
        shown = tickets.read(ticket)
        if shown is None:
            return None
        asked = filter_ if filter_.patterns else Filter.of(shown.channels)
        return cls(asked, "", shown)


class Admission(NamedTuple):
    """What is allowed."""

    filter: Filter
    user: str = ""  # "": nobody in particular
    anywhere: bool = False  # may pages of LIVE_ORIGINS read it? Not what a cookie alone has opened
    claim: Claim | None = None  # what is to be asked again; None: nothing can be withdrawn


def may_view(user: Any) -> bool:
    """The permission, for an active user who is logged in."""
    return bool(user.is_authenticated and user.has_perm(PERMISSION))


def may_hear(user: Any, channel: str) -> bool:
    """May this user hear, or read, what is on this channel? Blocks."""
    if matches_any(conf.LIVE_PUBLIC, channel):
        return True
    decide = decider()
    if decide is None:
        return may_view(user)
    return bool(user.is_authenticated and decide(user, channel))


def admit(claim: Claim, *, again: bool = False) -> Admission | None:
    """What this client may hear; ``None``: nothing. Blocks: it asks the database. ``again``: what is known of rights is
    asked anew. Every name has to be allowed; of a glob, what is not allowed is left out."""
    filter_ = claim.filter
    public = Filter.of(conf.LIVE_PUBLIC)
    if conf.LIVE_PUBLIC and public.covers_all(filter_):
        return Admission(filter_.seen_by(Sight.of(None)), anywhere=True)
    shown, decide = claim.ticket, decider()
    if shown is not None:
        if not Filter.of(shown.channels).covers_all(filter_):
            return None
        if not shown.user:
            return Admission(filter_.seen_by(Sight.of(None)), anywhere=True)
        user = _user(shown.user)
    else:
        user = user_of(claim.session_key)
        if user is not None and decide is None and not user.has_perm(PERMISSION):
            return None
    if user is None:
        return None
    if decide is not None:
        rights = Rights.of(user, decide)
        if again:
            rights.renew(user)
        if not all(matches_any(conf.LIVE_PUBLIC, name) or decide(user, name) for name in filter_.names):
            return None
        if filter_.exact is None:
            filter_ = filter_.within(rights)
    return Admission(filter_.seen_by(Sight.of(user)), str(user.pk), shown is not None, claim)


def user_of(session_key: str) -> Any:
    """The active user of a session, or ``None``. Blocks.

    The session is only read: Django's ``get_user`` would give it a new key after a change of ``SECRET_KEY``, which
    the browser would never hear of.
    """
    if not session_key:
        return None
    request = HttpRequest()
    request.session = _ReadOnly.of(session_key)
    user = get_user(request)
    return user if user.is_authenticated and user.is_active else None


def _user(key: str) -> Any:
    try:
        return get_user_model()._default_manager.filter(pk=key, is_active=True).first()
    except (ValueError, ValidationError):  # not a key of this kind of user
        return None


class _ReadOnly:
    """A session that is looked at and never written."""

    @staticmethod
    def of(session_key: str) -> Any:
        session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
        session.cycle_key = session.flush = session.save = lambda *_args, **_kwargs: None
        return session


class Gate:
    """Asks for many streams on a few threads; equal questions that come together are asked once."""

    def __init__(self) -> None:
        self._threads = Threads("access")
        self._asked: dict[Claim, tuple[float, asyncio.Task[Admission | None]]] = {}

    async def admit(self, claim: Claim) -> Admission | None:
        """:func:`admit`, awaited; raises what the database and ``LIVE_MAY_HEAR`` raise."""
        now = time.monotonic()
        until, task = self._asked.get(claim, (0.0, None))
        if task is None or now > until:
            if len(self._asked) >= MOST_REMEMBERED:
                self.forget(now)
            task = asyncio.create_task(self._threads.run(partial(admit, claim)))
            self._asked[claim] = (now + REMEMBER_SECONDS, task)
        return await asyncio.shield(task)

    def forget(self, now: float) -> None:
        """Drop answers that have grown old; with too many left, all."""
        self._asked = {claim: asked for claim, asked in self._asked.items() if asked[0] > now}
        if len(self._asked) >= MOST_REMEMBERED:
            self._asked.clear()

    async def ask(self, rights: Rights, channels: Iterable[str]) -> None:
        """Let the rights know of these channels; raises what the function raises."""
        await self._threads.run(partial(rights.ask_all, list(channels)))

    async def withdrawn(self, claims: Iterable[Claim]) -> set[Claim]:
        """Which of these may hear no more. Nobody, when the database cannot be asked: it is asked again."""
        asked = list(claims)
        try:
            return await self._threads.run(
                lambda: {claim for claim in asked if admit(claim, again=True) is None}
            )
        except Exception as error:  # whatever a database, a session engine or LIVE_MAY_HEAR raises
            logger.warning("permissions of open streams could not be checked, later again: %s", error)
            return set()

    def close(self) -> None:
        self._threads.close()
