"""A user and a channel -> may that user hear it? Asked once for each channel, and all again every minute.

``LIVE_MAY_HEAR`` names the function that decides. It may ask the database, so it runs on a thread; what it said is kept
here for the event loop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakValueDictionary

from django.utils.module_loading import import_string

from messaging.conf import conf
from messaging.patterns import matches_any

Decide = Callable[[Any, str], bool]

MOST_KNOWN = 10_000  # channels of one user; with more, all are asked again

_shared: WeakValueDictionary[tuple[str, Decide], Rights] = WeakValueDictionary()
_lock = threading.Lock()


class Rights:
    """What one user may hear, as far as that is known. Streams of the same user share it."""

    def __init__(self, user: Any, decide: Decide) -> None:
        self._user = user
        self._decide = decide
        self._known: dict[str, bool] = {}

    @staticmethod
    def of(user: Any, decide: Decide) -> Rights:
        """Those that streams of this user have, or new ones."""
        key = (str(user.pk), decide)
        with _lock:
            rights = _shared.get(key)
            if rights is None:
                rights = _shared[key] = Rights(user, decide)
        return rights

    def known(self, channel: str) -> bool | None:
        """The answer, or ``None`` if it has not been asked for."""
        return self._known.get(channel)

    def ask(self, channel: str) -> bool:
        """The answer. Blocks; raises what the function raises."""
        answer = self._known.get(channel)
        if answer is None:
            answer = self._answer(channel)
            if len(self._known) >= MOST_KNOWN:
                self._known = {}
            self._known[channel] = answer
        return answer

    def ask_all(self, channels: Iterable[str]) -> None:
        for channel in channels:
            self.ask(channel)

    def renew(self, user: Any) -> None:
        """Ask again for everything that is known; ``user`` is freshly loaded. Blocks."""
        self._user = user
        self._known = {channel: self._answer(channel) for channel in list(self._known)}

    def _answer(self, channel: str) -> bool:
        return matches_any(conf.LIVE_PUBLIC, channel) or bool(self._decide(self._user, channel))


def decider() -> Decide | None:
    """The function of ``LIVE_MAY_HEAR``; ``None`` if it is not set."""
    path = conf.LIVE_MAY_HEAR
    return import_string(path) if path else None
