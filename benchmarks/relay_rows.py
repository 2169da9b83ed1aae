"""The relay -> its time for a row, to the fastest plain way into the same table with the same indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from statistics import median
from typing import Any

import msgspec
import redis
from django.db import connections, transaction

from benchmarks.result import Result, alternate, not_measured, ratio_of
from benchmarks.stage import POSTGRESQL, Stage
from benchmarks.stored import by_relay, database, fill, timed
from messaging import keys
from messaging.conf import conf
from messaging.models import Message

COLUMNS = (
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
    ("epoch", "text"),
    ("partition", "int2"),
    ("stored_at", "timestamptz"),
    ("sends", "int2"),
)
NAMES = ", ".join(f'"{name}"' for name, _ in COLUMNS)
TABLE = Message._meta.db_table

Row = tuple[Any, ...]


class Envelope(msgspec.Struct):
    """The least that has to be parsed to fill the same columns: one call, no check, the payload left as it is."""

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    data: msgspec.Raw
    datacontenttype: str = "application/json"
    partitionkey: str = ""


parse = msgspec.json.Decoder(Envelope).decode


def measure_sqlite(stage: Stage) -> list[Result]:
    """The plain way: sqlite3's own ``executemany()`` of plain INSERTs, one transaction for each batch."""
    return [_measure("relay_sqlite", "default", stage, _by_executemany)]


def measure_postgresql(stage: Stage) -> list[Result]:
    """The plain way: psycopg's binary COPY straight into the table, one transaction for each batch."""
    if not stage.postgresql:
        return [not_measured("relay_postgresql", "no PostgreSQL")]
    return [_measure("relay_postgresql", POSTGRESQL, stage, _by_copy)]


def _measure(figure: str, alias: str, stage: Stage, plain: Callable[[list[Row]], None]) -> Result:
    count = 5_000 if stage.quick else 10_000
    client = redis.Redis(unix_socket_path=str(stage.broker.socket))

    def by_hand() -> None:
        for rows in _batches(client):
            plain(rows)

    with database(alias):
        fill(client, count)
        mine, theirs = alternate(
            lambda: timed(by_relay(count), alias=alias, count=count),
            lambda: timed(by_hand, alias=alias, count=count),
            rounds=3 if stage.quick else 11,
        )
    client.close()
    return Result(figure, median(mine), median(theirs), "us/row", ratio_of(theirs, mine))


def _batches(client: redis.Redis) -> Iterator[list[Row]]:
    """XREAD by redis-py -> tuples as the columns stand."""
    key, position = keys.log(0), b"0-0"
    epoch = (client.get(keys.epoch(0)) or b"").decode()
    while reply := client.xread({key: position}, count=conf.BATCH_SIZE):
        entries = reply[0][1] if isinstance(reply, list) else next(iter(reply.values()))[0]
        now = datetime.now(UTC)
        rows = []
        for position, fields in entries:
            event = parse(fields[b"e"])
            ms, _, seq = position.partition(b"-")
            rows.append(
                (
                    event.id, event.source, event.subject, event.type, event.partitionkey, event.time,
                    bytes(event.data).decode(), event.datacontenttype, False, "", int(ms), int(seq), epoch, 0, now, 0,
                )
            )  # fmt: skip
        yield rows


def _by_executemany(rows: list[Row]) -> None:
    now = str(rows[0][14])[:26]
    insert = f"INSERT INTO {TABLE} ({NAMES}) VALUES ({', '.join('?' * len(COLUMNS))})"
    with transaction.atomic(using="default"):
        connections["default"].connection.executemany(
            insert, [(*row[:5], str(row[5])[:26], *row[6:8], 0, *row[9:14], now, 0) for row in rows]
        )


def _by_copy(rows: list[Row]) -> None:
    with (
        transaction.atomic(using=POSTGRESQL),
        connections[POSTGRESQL].cursor() as cursor,
        cursor.copy(f"COPY {TABLE} ({NAMES}) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.set_types([kind for _, kind in COLUMNS])
        for row in rows:
            copy.write_row(row)
