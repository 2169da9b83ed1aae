"""Entries of the log -> rows, in SQL written for the purpose: SQLite by ``executemany``, PostgreSQL by arrays.

One statement inserts what is new, settles the outbox row that an entry confirms (a row without a position) and leaves
alone what is stored already. Its conflict target is exactly the unique index of the event, so that any other refusal
of the database stays an error. Django's ``bulk_create`` costs five times as much for the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db.backends.utils import CursorWrapper

from messaging.event import Event
from messaging.log import Entry
from messaging.models import Channel, Message
from messaging.rows import attributes_of, payload_text

# Column and its PostgreSQL type, in the order of a row.
_COLUMNS = (
    ("event_id", "text"),
    ("source", "text"),
    ("channel", "text"),
    ("type", "text"),
    ("key", "text"),
    ("time", "timestamptz"),
    ("payload", "text"),
    ("content_type", "text"),
    ("binary", "bool"),
    ("attributes", "text"),
    ("log_ms", "int8"),
    ("log_seq", "int8"),
)
# The same for every row of a batch.
_SHARED = (("epoch", "text"), ("partition", "int2"), ("stored_at", "timestamptz"), ("sends", "int2"))
_SETTLED = ("epoch", "partition", "log_ms", "log_seq", "stored_at")

Row = tuple[Any, ...]


def row_of(entry: Entry, event: Event) -> Row:
    """The columns of one row, as ``_COLUMNS`` names them."""
    return (
        event.id,
        event.source,
        event.channel,
        event.type,
        event.key,
        event.time,
        payload_text(event),
        event.content_type,
        event.binary,
        attributes_of(event),
        entry.position.ms,
        entry.position.seq,
    )


def store(
    cursor: CursorWrapper, rows: Sequence[Row], *, epoch: str, partition: int, stored_at: datetime
) -> None:
    """Insert or settle the rows, in the caller's transaction; raises what the database raises."""
    if cursor.db.vendor == "postgresql":
        columns = [list(column) for column in zip(*rows, strict=True)]
        cursor.execute(_POSTGRESQL, [epoch, partition, stored_at, *columns])
    else:
        shared = (epoch, partition, _sqlite_time(stored_at))
        cursor.executemany(_SQLITE, [(*row[:5], _sqlite_time(row[5]), *row[6:], *shared) for row in rows])


def _sqlite_time(time: datetime) -> str:
    """As Django writes it: naive, in UTC."""
    text = time.isoformat(" ", "microseconds")
    return text[:26]


def note_channels(cursor: CursorWrapper, names: Iterable[str], seen_at: datetime) -> None:
    """Names that this process has not seen before -> rows of the table of channels."""
    seen: Any = seen_at if cursor.db.vendor == "postgresql" else _sqlite_time(seen_at)
    cursor.executemany(
        f"INSERT INTO {Channel._meta.db_table} (name, first_seen) VALUES (%s, %s) ON CONFLICT (name) DO NOTHING",
        [(name, seen) for name in names],
    )


def _upsert(values: str) -> str:
    table = Message._meta.db_table
    names = ", ".join(f'"{name}"' for name, _ in (*_COLUMNS, *_SHARED))
    settle = ", ".join(f"{name} = excluded.{name}" for name in _SETTLED)
    return (
        f"INSERT INTO {table} ({names}) {values} "
        f"ON CONFLICT (event_id, source) DO UPDATE SET {settle} WHERE {table}.log_ms IS NULL"
    )


_SQLITE = _upsert(f"VALUES ({', '.join(['%s'] * (len(_COLUMNS) + 3))}, 0)")
_POSTGRESQL = _upsert(
    "SELECT batch.*, %s::text, %s::int2, %s::timestamptz, 0 FROM unnest("
    + ", ".join(f"%s::{kind}[]" for _, kind in _COLUMNS)
    + ") AS batch"
)
