"""What the live streams of this process did -> numbers, in one place."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counters:
    """Since the process started, but for the first: that is of this moment."""

    feeds: int = 0
    connected: int = 0  # streams that began
    refused: int = 0  # without permission
    overloaded: Counter[str] = field(
        default_factory=Counter
    )  # turned away, by limit; "away": a part of us was
    entries: int = 0  # read from the log, each once
    frames: int = 0  # given to clients
    chunks: int = 0  # writes that carried them
    sent_bytes: int = 0
    dropped: int = 0  # clients that took nothing for LIVE_SEND_SECONDS
    overruns: int = 0  # clients that fell off their feed while connected
    catch_ups: int = 0  # pages read from the log or the table for clients that were behind
    gaps: int = 0  # told to clients
    reborn: int = 0  # logs that began anew under the reader

    def sent(self, size: int, count: int) -> None:
        """A chunk of so many bytes and frames was given to a client."""
        self.frames += count
        self.sent_bytes += size
        self.chunks += 1


counters = Counters()
