"""Filters -> all messages that they let through, newest first, from the log and the table, as lines of NDJSON or CSV.

Whatever the log still has comes from there, stored or not; what is older from the table. Bounded: after ``EXPORT_ROWS``
messages, or ten times as many looked at, it ends with a line that says so. Blocks.
"""

from __future__ import annotations

import csv
import heapq
import io
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import redis
from redis.exceptions import RedisError

from messaging import log, redaction
from messaging.conf import conf
from messaging.decoder import NotAnEvent
from messaging.errors import InvalidMessage
from messaging.event import Event, encode
from messaging.live.filters import Filter
from messaging.log import Entry, Position
from messaging.models import Message
from messaging.search import Sought, Test
from messaging.span import END, PAGE_ENTRIES, fitting

CHUNK_BYTES = 64 * 1024
CHUNK_READ = 1000  # messages looked at: a search that finds little still gives the thread back
LOOKED_AT = 10  # times EXPORT_ROWS

COLUMNS = ("logged", "channel", "type", "key", "id", "source", "time", "content_type", "data", "position")
_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_NEWLINES = bytes.maketrans(b"\r\n", b"  ")


class Export(NamedTuple):
    """What to export: ``since`` and ``until`` are milliseconds, both included."""

    filter: Filter
    search: Test | None = None
    since: int = 0
    until: int | None = None
    may_hear: Callable[[str], bool] | None = None  # of a channel, by whoever asks
    user: Any = None  # whoever asks
    sees_all: bool = True  # are there the messages as published, or as this user may see them?


class Found(NamedTuple):
    position: Position
    location: str
    event: Event | None
    body: bytes  # the envelope; of an entry that is no event, all there is
    error: str = ""

    def seen_by(self, user: Any) -> Found:
        """As this user may see it."""
        if not redaction.is_on():
            return self
        if self.event is None:
            return self._replace(body=b"", error=redaction.UNREADABLE)
        shown = redaction.redacted(self.event, user)
        return self if shown is self.event else self._replace(event=shown, body=encode(shown))


def ndjson(client: redis.Redis, export: Export) -> Iterator[bytes]:
    """Chunks of lines ``{"at": ..., "event": ...}``: the frames of the stream, their payloads never cut."""

    def line(found: Found) -> bytes:
        if found.event is None:
            facts = {
                "at": found.location,
                "error": found.error,
                "raw": found.body.decode("utf-8", "backslashreplace"),
            }
            return json.dumps(facts).encode() + b"\n"
        return b'{"at":"%b","event":%b}\n' % (found.location.encode(), found.body.translate(_NEWLINES))

    def note(text: str) -> bytes:
        return json.dumps({"note": text}).encode() + b"\n"

    return _chunks(client, export, line, note)


def csv_lines(client: redis.Redis, export: Export) -> Iterator[bytes]:
    """Chunks of CSV with a header. A text that a spreadsheet would take for a formula has a ``'`` before it."""

    def line(found: Found) -> bytes:
        logged = datetime.fromtimestamp(found.position.ms / 1000, UTC).isoformat(timespec="milliseconds")
        event = found.event
        if event is None:
            raw = found.body.decode("utf-8", "backslashreplace")
            return _row(logged, "", "", "", "", "", "", f"unreadable: {found.error}", raw, found.location)
        return _row(
            logged,
            event.channel,
            event.type,
            event.key,
            event.id,
            event.source,
            event.time.isoformat(),
            event.content_type,
            b64encode(event.payload).decode() if event.binary else _sought(event).payload,
            found.location,
        )

    yield _row(*COLUMNS)
    yield from _chunks(client, export, line, _row)


def _row(*cells: str) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow([f"'{cell}" if _is_formula(cell) else cell for cell in cells])
    return out.getvalue().encode("utf-8", "backslashreplace")


def _is_formula(cell: str) -> bool:
    return _FORMULA.match(cell) is not None and _NUMBER.fullmatch(cell) is None


def _chunks(
    client: redis.Redis, export: Export, line: Callable[[Found], bytes], note: Callable[[str], bytes]
) -> Iterator[bytes]:
    most = conf.EXPORT_ROWS
    parts: list[bytes] = []
    size = written = 0
    failures: list[str] = []
    for read, found in enumerate(_everything(client, export, failures)):
        if written >= most or read >= most * LOOKED_AT:
            after = f"{written:,} messages" if written >= most else f"{read:,} messages looked at"
            parts.append(
                note(f"Cut here, after {after}: there are older ones, before position {found.location}.")
            )
            break
        seen = found.seen_by(export.user) if _is_heard(found, export) else None
        if seen is not None and _is_sought(seen, export):  # by what is shown: a search must not tell the rest
            parts.append(line(found if export.sees_all else seen))
            size += len(parts[-1])
            written += 1
        if size >= CHUNK_BYTES or read % CHUNK_READ == CHUNK_READ - 1:
            yield b"".join(parts)
            parts, size = [], 0
    if failures:
        parts.append(
            note(
                f"The log could not be read: what is not stored yet is missing, back to where it failed. {failures[0]}"
            )
        )
    yield b"".join(parts)


def _is_heard(found: Found, export: Export) -> bool:
    channel = None if found.event is None else found.event.channel
    return export.filter.takes(channel) and (export.may_hear is None or export.may_hear(channel or ""))


def _is_sought(found: Found, export: Export) -> bool:
    event = found.event
    if export.search is None:
        return True
    if event is None:
        return export.search(Sought("", "", "", "", found.body.decode("utf-8", "backslashreplace"), False))
    return export.search(_sought(event))


def _sought(event: Event) -> Sought:
    return Sought.of(
        channel=event.channel,
        type=event.type,
        id=event.id,
        key=event.key,
        payload="" if event.binary else event.payload.decode("utf-8", "replace"),
        content_type=event.content_type,
        binary=event.binary,
    )


# -- where they come from -----------------------------------------------------------------------------------------


def _everything(client: redis.Redis, export: Export, failures: list[str]) -> Iterator[Found]:
    sources = [_partition(client, partition, export, failures) for partition in log.partitions()]
    return heapq.merge(*sources, key=lambda found: found.position, reverse=True)


def _partition(client: redis.Redis, partition: int, export: Export, failures: list[str]) -> Iterator[Found]:
    """Of one partition, newest first: the log as far back as it goes, then the rows before that."""
    at = END if export.until is None else Position(export.until + 1, 0)
    count = 20
    while True:
        try:
            entries = log.newest(client, partition, count=count, before=at)
        except RedisError as error:
            failures.append(str(error))
            break
        for entry in entries:
            if entry.position.ms < export.since:
                return
            yield _of_entry(entry)
        if entries:
            at = entries[-1].position
        if len(entries) < count:
            break
        count = fitting(entries)
    while True:
        rows = _rows(partition, at, export)
        yield from map(_of_row, rows)
        if len(rows) < PAGE_ENTRIES:
            return
        at = Position(rows[-1].log_ms or 0, rows[-1].log_seq or 0)


def _rows(partition: int, before: Position, export: Export) -> list[Message]:
    """A page of rows before a position, by an index."""
    before = min(before, END)
    rows = Message.objects.using(conf.DATABASE).stored().filter(partition=partition)
    rows = rows.filter(log_ms__lte=before.ms, log_ms__gte=export.since)
    rows = rows.exclude(log_ms=before.ms, log_seq__gte=before.seq)
    if export.filter.exact is not None:
        rows = rows.filter(channel__in=export.filter.exact)
    return list(rows.order_by("-log_ms", "-log_seq")[:PAGE_ENTRIES])


def _of_entry(entry: Entry) -> Found:
    try:
        return Found(entry.position, entry.location, entry.event(), entry.raw)
    except NotAnEvent as error:
        return Found(entry.position, entry.location, None, entry.raw, str(error))


def _of_row(row: Message) -> Found:
    position = Position(row.log_ms or 0, row.log_seq or 0)
    try:
        event = row.as_event()
        return Found(position, row.location or "", event, encode(event))
    except InvalidMessage as error:
        return Found(position, row.location or "", None, row.payload.encode(), str(error))
