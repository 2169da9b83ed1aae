"""A world's database -> the rows that the checker judges, by plain SQL: the product's own code is not asked."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg

from tests.chaos.checker import Gap, Move, Position, Row

_COLUMNS = "fence_before, fence, epoch_before, epoch, ms_before, seq_before, ms, seq"
_MOVE = "OLD.fence, NEW.fence, OLD.epoch, NEW.epoch, OLD.log_ms, OLD.log_seq, NEW.log_ms, NEW.log_seq"

# Each update of the cursor leaves a trace, in the transaction that made it.
_TRACE_SQLITE = f"""
CREATE TABLE chaos_moves (id INTEGER PRIMARY KEY AUTOINCREMENT, fence_before INTEGER, fence INTEGER,
  epoch_before TEXT, epoch TEXT, ms_before INTEGER, seq_before INTEGER, ms INTEGER, seq INTEGER);
CREATE TRIGGER chaos_moved AFTER UPDATE ON messaging_cursor BEGIN
  INSERT INTO chaos_moves ({_COLUMNS}) VALUES ({_MOVE}); END;
"""
_TRACE_POSTGRESQL = f"""
CREATE TABLE chaos_moves (id BIGSERIAL PRIMARY KEY, fence_before BIGINT, fence BIGINT,
  epoch_before TEXT, epoch TEXT, ms_before BIGINT, seq_before BIGINT, ms BIGINT, seq BIGINT);
CREATE FUNCTION chaos_trace() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO chaos_moves ({_COLUMNS}) VALUES ({_MOVE}); RETURN NULL; END $$;
CREATE TRIGGER chaos_moved AFTER UPDATE ON messaging_cursor FOR EACH ROW EXECUTE FUNCTION chaos_trace();
"""

_COLUMNS_OF_MESSAGE = (
    "SELECT column_name FROM information_schema.columns "
    "WHERE table_name = 'messaging_message' AND column_name <> 'id' ORDER BY ordinal_position"
)


class Rows:
    """``config`` is Django's dictionary of the database."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self.is_sqlite = config["ENGINE"].endswith("sqlite3")

    def _connect(self) -> Any:
        if self.is_sqlite:
            return sqlite3.connect(self._config["NAME"], timeout=20, isolation_level=None)
        names = {"host": "HOST", "port": "PORT", "user": "USER", "dbname": "NAME"}
        return psycopg.connect(
            **{key: self._config[name] for key, name in names.items()}, autocommit=True, connect_timeout=5
        )

    def ask(self, query: str) -> Sequence[Any]:
        """The rows of one query; raises what the driver raises."""
        with closing(self._connect()) as connection:
            return list(connection.execute(query).fetchall())

    def trace(self, *, drop_index: bool = False) -> None:
        """From here on every move of the cursor is recorded. ``drop_index``: a known-bad variant's table."""
        with closing(self._connect()) as connection:
            if self.is_sqlite:
                connection.executescript(_TRACE_SQLITE)
                if drop_index:
                    _rebuild_without_index(connection)
            else:
                connection.execute(_TRACE_POSTGRESQL)
                if drop_index:
                    connection.execute(
                        "ALTER TABLE messaging_message DROP CONSTRAINT messaging_message_event"
                    )

    def lock(self) -> Any:
        """A connection that holds the write lock of a SQLite file until it is closed."""
        connection = self._connect()
        connection.execute("BEGIN IMMEDIATE")
        return connection

    @contextmanager
    def filled_log(self, size: int) -> Iterator[None]:
        """SQLite: everybody's next write goes behind so many bytes of the write-ahead log."""
        if not self.is_sqlite:
            yield
            return
        with closing(self._connect()) as reader, closing(self._connect()) as writer:
            writer.execute("CREATE TABLE IF NOT EXISTS chaos_filler (id INTEGER PRIMARY KEY, filler BLOB)")
            reader.execute("BEGIN")
            reader.execute(
                "SELECT count(*) FROM chaos_filler"
            ).fetchall()  # as long as it reads, the log only grows
            writer.execute(f"INSERT OR REPLACE INTO chaos_filler VALUES (1, randomblob({size}))")
            yield

    def fill_postgresql(self, size: int) -> None:
        """Make the table of messages so large, by copies of a row."""
        if self.bytes_postgresql() >= size:
            return
        columns = [name for (name,) in self.ask(_COLUMNS_OF_MESSAGE)]
        changed = {
            "event_id": "'filler-' || n", "channel": "'filler'", "payload": "repeat(md5(n::text), 30)",
            "log_seq": "1000000 + n",
        }  # fmt: skip
        values = ", ".join(changed.get(name, f'"{name}"') for name in columns)
        names = ", ".join(f'"{name}"' for name in columns)
        with closing(self._connect()) as connection:
            connection.execute(
                f"INSERT INTO messaging_message ({names}) SELECT {values} FROM (SELECT * FROM messaging_message "
                f"WHERE log_ms IS NOT NULL LIMIT 1) AS one, generate_series(1, {size // 1000}) AS n"
            )

    def bytes_postgresql(self) -> int:
        """The size of the file that holds the messages."""
        return int(self.ask("SELECT pg_relation_size('messaging_message')")[0][0])

    def is_locked(self) -> bool:
        """Does a SQLite file's write lock stay held for half a second? Writers let it go within a few ms."""
        if not self.is_sqlite:
            return False
        with closing(sqlite3.connect(self._config["NAME"], timeout=0.5, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
        return False

    # -- what is there

    def messages(self) -> list[Row]:
        """The writers' messages."""
        found = []
        for payload, ms, seq, queued_at, time, stored_at, channel, partition in self.ask(
            "SELECT payload, log_ms, log_seq, queued_at, time, stored_at, channel, partition "
            "FROM messaging_message WHERE channel LIKE 'w.%'"
        ):
            data = json.loads(payload)
            delay = _seconds(stored_at) - _seconds(time) if stored_at else 0.0
            position = None if ms is None else (ms, seq)
            lane = f"{partition}:{channel}"
            found.append(Row(data["w"], data["n"], position, queued_at is not None, delay, lane))
        return found

    def gaps(self) -> list[Gap]:
        """What the relay has recorded."""
        return [
            Gap(reason, _position(at), _seconds(noticed), partition)
            for reason, at, noticed, partition in self.ask(
                "SELECT reason, from_position, noticed_at, partition FROM messaging_gap"
            )
        ]

    def moves(self) -> list[Move]:
        """All that the cursor did, oldest first."""
        return [
            Move(*row[:4], (row[4], row[5]), (row[6], row[7]))
            for row in self.ask(f"SELECT {_COLUMNS} FROM chaos_moves ORDER BY id")
        ]

    def cursor(self, partition: int) -> tuple[str, Position]:
        """The relay's epoch and position."""
        rows = self.ask(
            "SELECT epoch, log_ms, log_seq FROM messaging_cursor "
            f"WHERE reader = 'relay' AND partition = {partition}"
        )
        return (rows[0][0], (rows[0][1], rows[0][2])) if rows else ("", (0, 0))

    def count(self, table: str, where: str = "1 = 1") -> int:
        """How many rows."""
        return int(self.ask(f"SELECT count(*) FROM messaging_{table} WHERE {where}")[0][0])

    def quarantined(self) -> int:
        """How many entries: one that was read again, in a log with a new epoch, is kept again."""
        return int(self.ask("SELECT count(DISTINCT log_ms * 1000 + log_seq) FROM messaging_quarantine")[0][0])

    def newest_stored(self) -> float:
        """When the newest of the stored messages was published."""
        found = self.ask("SELECT max(time) FROM messaging_message WHERE log_ms IS NOT NULL")[0][0]
        return _seconds(found) if found else 0.0


def _seconds(time: Any) -> float:
    if isinstance(time, str):
        time = datetime.fromisoformat(time).replace(tzinfo=UTC)
    return float(time.timestamp())


def _position(text: str) -> Position:
    ms, _, seq = text.partition("-")
    return int(ms), int(seq)


def _rebuild_without_index(connection: Any) -> None:
    """SQLite cannot drop a table's own constraint. The table is empty still."""
    made = connection.execute(
        "SELECT sql FROM sqlite_schema WHERE tbl_name = 'messaging_message' AND sql IS NOT NULL ORDER BY type DESC"
    ).fetchall()
    connection.execute("DROP TABLE messaging_message")
    for (sql,) in made:
        unique = ', CONSTRAINT "messaging_message_event" UNIQUE ("event_id", "source")'
        connection.execute(sql.replace(unique, ""))
