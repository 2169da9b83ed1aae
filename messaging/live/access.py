"""A session -> may its user watch the log? Asked once for each stream, and again every minute."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from functools import partial
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from messaging.live.threads import Threads

logger = logging.getLogger("messaging.live")

PERMISSION = "messaging.view_message"
REMEMBER_SECONDS = 2.0  # ten tabs that come back together ask once
MOST_REMEMBERED = 10_000


def may_view(user: Any) -> bool:
    """The permission, for an active user who is logged in."""
    return bool(user.is_authenticated and user.has_perm(PERMISSION))


def viewer(session_key: str) -> str | None:
    """The id of the session's user if that user may watch, else ``None``. Blocks: it asks the database.

    The session is only read: Django's ``get_user`` would give it a new key after a change of ``SECRET_KEY``, which
    the browser would never hear of.
    """
    request = HttpRequest()
    request.session = _ReadOnly.of(session_key)
    user = get_user(request)
    return str(user.pk) if may_view(user) else None


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
        self._asked: dict[str, tuple[float, asyncio.Task[str | None]]] = {}

    async def viewer(self, session_key: str) -> str | None:
        """:func:`viewer`, awaited; raises what the database raises."""
        if not session_key:
            return None
        now = time.monotonic()
        until, task = self._asked.get(session_key, (0.0, None))
        if task is None or now > until:
            if len(self._asked) >= MOST_REMEMBERED:
                self.forget(now)
            task = asyncio.create_task(self._threads.run(partial(viewer, session_key)))
            self._asked[session_key] = (now + REMEMBER_SECONDS, task)
        return await asyncio.shield(task)

    def forget(self, now: float) -> None:
        """Drop answers that have grown old; with too many left, all."""
        self._asked = {key: asked for key, asked in self._asked.items() if asked[0] > now}
        if len(self._asked) >= MOST_REMEMBERED:
            self._asked.clear()

    def close(self) -> None:
        self._threads.close()

    async def withdrawn(self, session_keys: Iterable[str]) -> set[str]:
        """Which of these sessions may watch no more. Nobody, when the database cannot be asked: it is asked again."""
        keys = list(session_keys)
        try:
            return await self._threads.run(lambda: {key for key in keys if viewer(key) is None})
        except Exception as error:  # whatever a database or a session engine raises
            logger.warning("permissions of open streams could not be checked, later again: %s", error)
            return set()
