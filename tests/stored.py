"""The database file of started processes -> its rows of the log table, as plain values."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec


@dataclass(frozen=True, slots=True)
class Stored:
    """One stored message."""

    channel: str
    type: str
    key: str
    payload: str
    source: str
    event_id: str
    time: str
    content_type: str

    @property
    def data(self) -> object:
        """Its payload as Python values."""
        return msgspec.json.decode(self.payload)


def stored(database: Path, channel: str = "*") -> list[Stored]:
    """What the relay has stored on the channels that match a SQLite glob, in the order of the log."""
    with closing(sqlite3.connect(database, timeout=20)) as connection:
        rows = connection.execute(
            "SELECT channel, type, key, payload, source, event_id, time, content_type FROM messaging_message "
            "WHERE log_ms IS NOT NULL AND channel GLOB ? ORDER BY log_ms, log_seq",
            [channel],
        )
        return [Stored(*row) for row in rows]
