"""Entries of the log -> rows, in SQL written for the purpose: SQLite by ``executemany``, PostgreSQL by COPY.

One statement inserts what is new, settles the outbox row that an entry confirms (a row without a position) and leaves
alone what is stored already. Its conflict target is exactly the unique index of the event, so that any other refusal
of the database stays an error. Django's ``bulk_create`` costs five times as much for the same rows.

PostgreSQL takes a row by COPY in a third of the time of any INSERT. COPY knows no conflict target: so it goes straight
into the table only while no outbox row waits, and when it meets a known event all the same (``IntegrityError``), a
savepoint takes it back and the upsert has its turn, from a temporary table that COPY fills.

A row that the sweeper had to send is marked late if newer messages of its channel stand before it in the log: nobody
else's order suffers, so all others go without the question.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.db import (
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    transaction,
)
from django.db.backends.utils import CursorWrapper

from messaging.event import Event
from messaging.log import Entry
from messaging.models import Channel, Message
from messaging.rows import attributes_of, payload_text

# The database is away, locked, full, broken or not set up for us, or the transaction is sick: no row is at fault, and
# all of them are stored later. Any other ``DatabaseError`` is about a row.
NO_ROW_AT_FAULT = (OperationalError, InterfaceError, InternalError, ProgrammingError)

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
    resent = _resent(cursor, rows)
    if cursor.db.vendor == "postgresql":
        _store_postgresql(cursor, rows, (epoch, partition, stored_at, 0), none_waits=resent is None)
    else:
        shared = (epoch, partition, _sqlite_time(stored_at), 0)
        cursor.executemany(_SQLITE, [_sqlite_row(row) + shared for row in rows])
    if resent:
        cursor.executemany(_MARK_LATE, resent)


def _resent(cursor: CursorWrapper, rows: Sequence[Row]) -> list[tuple[int, int]] | None:
    """Of these rows those that wait in the outbox and that the sweeper sent: their keys, and when they were written
    (ms). ``None`` if nothing waits at all."""
    cursor.execute(_ANY_PENDING)
    if cursor.fetchone() is None:
        return None
    events = {row[:2] for row in rows}
    waiting = Message.objects.using(cursor.db.alias).pending().exclude(resent="").order_by("queued_at")
    return [
        (key, int(queued_at.timestamp() * 1000))
        for key, queued_at, *event in waiting.values_list("pk", "queued_at", "event_id", "source")
        if tuple(event) in events and queued_at is not None
    ]


def _store_postgresql(cursor: CursorWrapper, rows: Sequence[Row], shared: Row, *, none_waits: bool) -> None:
    if none_waits:
        try:
            with transaction.atomic(using=cursor.db.alias):
                _copy(cursor, _COPY, (*_COLUMNS, *_SHARED), [row + shared for row in rows])
            return
        except IntegrityError:
            pass  # most likely a known event; the upsert raises whatever else it is
    once: dict[Row, Row] = {}  # one statement may not meet an event twice, and a retry can append it twice
    for row in rows:
        once.setdefault(row[:2], row)
    cursor.execute(_MAKE_BATCH)
    _copy(cursor, _COPY_BATCH, _COLUMNS, once.values())
    cursor.execute(_POSTGRESQL, shared)


def _copy(
    cursor: CursorWrapper, statement: str, columns: Sequence[tuple[str, str]], rows: Iterable[Row]
) -> None:
    """Rows by psycopg's binary COPY, a quarter of the text format's work."""
    with cursor.db.wrap_database_errors, cursor.copy(statement) as copy:
        copy.set_types([kind for _, kind in columns])
        for row in rows:
            copy.write_row(row)


def _sqlite_row(row: Row) -> Row:
    """The row in types that sqlite3 takes without asking its adapters."""
    event_id, source, channel, kind, key, time, payload, content_type, binary, rest, ms, seq = row
    time = _sqlite_time(time)
    return event_id, source, channel, kind, key, time, payload, content_type, int(binary), rest, ms, seq


def _sqlite_time(time: datetime) -> str:
    """A time in UTC as Django writes it there, str() without the zone; msgspec takes a fifth of its time."""
    return msgspec.json.encode(time)[1:-2].decode().replace("T", " ")


def note_channels(cursor: CursorWrapper, names: Iterable[str], seen_at: datetime) -> None:
    """Names that this process has not seen before -> rows of the table of channels."""
    seen: Any = seen_at if cursor.db.vendor == "postgresql" else _sqlite_time(seen_at)
    cursor.executemany(
        f"INSERT INTO {Channel._meta.db_table} (name, first_seen) VALUES (%s, %s) ON CONFLICT (name) DO NOTHING",
        [(name, seen) for name in names],
    )


_TABLE = Message._meta.db_table


def _names(columns: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f'"{name}"' for name, _ in columns)


def _upsert(values: str) -> str:
    settle = ", ".join(f"{name} = excluded.{name}" for name in _SETTLED)
    return (
        f"INSERT INTO {_TABLE} ({_names((*_COLUMNS, *_SHARED))}) {values} "
        f"ON CONFLICT (event_id, source) DO UPDATE SET {settle} WHERE {_TABLE}.log_ms IS NULL"
    )


_SQLITE = _upsert(f"VALUES ({', '.join(['%s'] * (len(_COLUMNS) + len(_SHARED)))})")

_ANY_PENDING = (
    f"SELECT 1 FROM {_TABLE} WHERE log_ms IS NULL ORDER BY queued_at LIMIT 1"  # as the index stands
)
_MARK_LATE = (  # newer: written after it (a larger key), and taken by Redis after it had been written
    f"UPDATE {_TABLE} SET late = true WHERE id = %s AND log_ms IS NOT NULL AND EXISTS ("
    f"SELECT 1 FROM {_TABLE} newer WHERE newer.channel = {_TABLE}.channel AND newer.log_ms >= %s "
    f"AND newer.id > {_TABLE}.id "
    f"AND (newer.log_ms, newer.log_seq) < ({_TABLE}.log_ms, {_TABLE}.log_seq))"
)
_COPY = f"COPY {_TABLE} ({_names((*_COLUMNS, *_SHARED))}) FROM STDIN (FORMAT BINARY)"
_DEFINITIONS = ", ".join(f'"{name}" {kind}' for name, kind in _COLUMNS)
_MAKE_BATCH = (
    f"CREATE TEMPORARY TABLE IF NOT EXISTS messaging_batch ({_DEFINITIONS}) ON COMMIT DELETE ROWS; "
    "DELETE FROM messaging_batch"  # an outer transaction may hold an earlier batch
)
_COPY_BATCH = f"COPY messaging_batch ({_names(_COLUMNS)}) FROM STDIN (FORMAT BINARY)"
_POSTGRESQL = _upsert(f"SELECT {_names(_COLUMNS)}, {', '.join(['%s'] * len(_SHARED))} FROM messaging_batch")
