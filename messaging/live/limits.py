"""A stream that would begin -> a seat, or the name of the limit that it would exceed. One for the whole process.

What a client sees of a limit is a stream that says ``bye`` with ``"reason":"overload"`` and the limit's name, and when
to come back: an EventSource gives up for ever on any other answer.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from ipaddress import ip_address, ip_network

from messaging.conf import conf


class Seat:
    """Held by a stream as long as it is open."""

    __slots__ = ("_limits", "address", "user")

    def __init__(self, limits: Limits, user: str, address: str) -> None:
        self._limits: Limits | None = limits
        self.user = user
        self.address = address

    def free(self) -> None:
        """Give it back; once."""
        limits, self._limits = self._limits, None
        if limits is not None:
            limits.left(self)


class Limits:
    """Counts open streams: all, by user, by address. Threads may use it."""

    def __init__(self) -> None:
        self.open = 0
        self.users: Counter[str] = Counter()
        self.addresses: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._tokens = 0.0
        self._filled = 0.0

    def knock(self, address: str, *, now: float | None = None) -> str:
        """Before anything is asked of the database: "total", "rate" or "address" if there is no room, else ""."""
        with self._lock:
            if self.open >= conf.LIVE_MAX_STREAMS:
                return "total"
            if self._full(self.addresses, address, conf.LIVE_MAX_STREAMS_PER_ADDRESS):
                return "address"
            return "" if self._token(time.monotonic() if now is None else now) else "rate"

    def take(self, user: str, address: str) -> Seat | str:
        """A seat, or the name of the limit: "total", "user" or "address". Nobody in particular ("") is no user."""
        with self._lock:
            if self.open >= conf.LIVE_MAX_STREAMS:
                return "total"
            if self._full(self.users, user, conf.LIVE_MAX_STREAMS_PER_USER):
                return "user"
            if self._full(self.addresses, address, conf.LIVE_MAX_STREAMS_PER_ADDRESS):
                return "address"
            self.open += 1
            self.users[user] += 1
            self.addresses[address] += 1
            return Seat(self, user, address)

    def left(self, seat: Seat) -> None:
        """By :meth:`Seat.free`."""
        with self._lock:
            self.open -= 1
            for counted, name in ((self.users, seat.user), (self.addresses, seat.address)):
                counted[name] -= 1
                if not counted[name]:
                    del counted[name]

    @staticmethod
    def _full(counted: Counter[str], name: str, most: int) -> bool:
        return bool(most and name and counted[name] >= most)

    def _token(self, now: float) -> bool:
        """A bucket that holds what may connect in one second."""
        rate = conf.LIVE_MAX_CONNECTS_PER_SECOND
        if not rate:
            return True
        self._tokens = (
            min(float(rate), self._tokens + (now - self._filled) * rate) if self._filled else float(rate)
        )
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


limits = Limits()


def caps() -> dict[str, int]:
    """The limits by their names; 0: none."""
    return {
        "total": conf.LIVE_MAX_STREAMS,
        "user": conf.LIVE_MAX_STREAMS_PER_USER,
        "address": conf.LIVE_MAX_STREAMS_PER_ADDRESS,
        "rate": conf.LIVE_MAX_CONNECTS_PER_SECOND,
    }


def address_of(peer: str, forwarded_for: str) -> str:
    """The client's address. What proxies say (``X-Forwarded-For``) is believed of those in ``LIVE_TRUSTED_PROXIES``,
    from the last to the first."""
    found = peer
    for hop in reversed([part.strip() for part in forwarded_for.split(",") if part.strip()]):
        if not _trusted(found):
            break
        found = hop
    return found


def _trusted(address: str) -> bool:
    if "*" in conf.LIVE_TRUSTED_PROXIES:
        return True
    if not address:  # a Unix socket: whoever may open it is a neighbour
        return "unix" in conf.LIVE_TRUSTED_PROXIES
    try:
        parsed = ip_address(address)
        return any(
            parsed in ip_network(each, strict=False) for each in conf.LIVE_TRUSTED_PROXIES if each != "unix"
        )
    except ValueError:
        return False
