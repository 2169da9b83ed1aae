"""What a stream says of itself -> frames: hello, live, gap, bye."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Mapping

from messaging.conf import conf
from messaging.frames import RETRY_MS, Where, format_id, named
from messaging.live.counters import counters
from messaging.live.feed import CHUNK_BYTES
from messaging.live.filters import Filter
from messaging.live.pages import Gap
from messaging.live.ring import Item

OVERLOAD_SECONDS = (5.0, 15.0)
RETURN_SECONDS = 0.5  # the soonest that a client comes back after any other end ...
RETURNS_A_SECOND = 500  # ... and so many come back in a second


def hello(where: Where, filter_: Filter, *, retention: Mapping[str, int | None], resumed: bool) -> bytes:
    """Always the first: where the stream stands, what the log still has, and when to come back after a loss."""
    facts = {
        "position": format_id(where),
        "now": now_ms(),
        "channels": filter_.patterns,
        "retention": retention,
        "resumed": resumed,
        "heartbeat": conf.LIVE_HEARTBEAT_SECONDS,
    }
    return named("hello", facts, retry=RETRY_MS)


def live(where: Where) -> bytes:
    """History is over; what comes next happens now."""
    return named("live", {"position": format_id(where), "now": now_ms()}, id=format_id(where))


def position(where: Where) -> bytes:
    """Nothing up to here was for this client. It resumes from here, and no page of it is read again."""
    return named("position", {"position": format_id(where), "now": now_ms()}, id=format_id(where))


def gap(missed: Gap) -> bytes:
    """Here something is missing. With the id of its far side, so that it is told once."""
    counters.gaps += 1
    return named("gap", missed.facts(), id=format_id(missed.to))


def source(silence: float) -> bytes:
    """Where messages come from does not answer, for so many seconds by now; or, with 0.0, it does again."""
    return named("source", {"state": "silent" if silence else "answers", "seconds": round(silence, 1)})


def bye(reason: str, *, clients: int = 0, limit: str = "") -> bytes:
    """Always the last, with the time to come back: many clients that are sent away together come back one by one.
    ``limit``: which one an overload is about."""
    low, high = OVERLOAD_SECONDS
    if reason != "overload":
        low, high = RETURN_SECONDS, RETURN_SECONDS + 1 + clients / RETURNS_A_SECOND
    facts = {"reason": reason, "limit": limit} if limit else {"reason": reason}
    return named("bye", facts, retry=int(spread(low, high) * 1000))


def joined(items: Iterable[Item]) -> Iterator[tuple[bytes, int]]:
    """Frames -> chunks of a size that suits one write, each with its number of frames."""
    parts: list[bytes] = []
    size = 0
    for item in items:
        if parts and size + len(item.frame) > CHUNK_BYTES:
            yield b"".join(parts), len(parts)
            parts, size = [], 0
        parts.append(item.frame)
        size += len(item.frame)
    if parts:
        yield b"".join(parts), len(parts)


def now_ms() -> int:
    return int(time.time() * 1000)


def spread(low: float, high: float) -> float:
    """A random number, so that many clients do not do a thing in step."""
    return random.uniform(low, high)  # noqa: S311 (jitter)
