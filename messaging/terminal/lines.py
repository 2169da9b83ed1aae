"""An entry of the log -> a line for a person, a line of JSON for a program, or the payload's bytes. Pure."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from messaging import rendering
from messaging.decoder import NotAnEvent
from messaging.event import Event, format_time
from messaging.log import Entry
from messaging.payload import JSON, TEXT, parse_json
from messaging.terminal.screen import Paint, columns, cut, safe

Read = tuple[Entry, Event | NotAnEvent]  # an entry, and what stands in it or why nothing does

_CHANNEL_COLUMNS = 28  # the channel's column grows with the names up to this
_TIME_COLUMNS = 12  # 12:34:56.789
_LAST_MS = 253_370_764_800_000  # the year 9999
_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")  # in JSON they stand between values only


def read(entry: Entry) -> Read:
    """An entry with the event in it."""
    try:
        return entry, entry.event()
    except NotAnEvent as error:
        return entry, error


def payload_text(event: Event) -> str:
    """The payload as a person wrote it: text without its quotes, JSON as it is, other bytes as base64."""
    if event.binary:
        return b64encode(event.payload).decode()
    return _plain(event).decode("utf-8", "surrogatepass")


def _plain(event: Event) -> bytes:
    """The payload as it was published: text that travels as a JSON string is text again."""
    if not event.binary and event.content_type.startswith(TEXT) and event.payload[:1] == b'"':
        text = parse_json(event.payload)
        if isinstance(text, str):
            return text.encode("utf-8", "surrogatepass")
    return event.payload


def searched(read: Read) -> str:
    """What ``--grep`` and ``--exclude`` look at: channel, type and payload, or the bytes of an unreadable entry."""
    entry, event = read
    if isinstance(event, NotAnEvent):
        return entry.raw.decode(errors="backslashreplace")
    return f"{event.channel} {event.type} {payload_text(event)}"


# -- for programs -------------------------------------------------------------------------------------------------


def as_raw(read: Read) -> bytes:
    """The payload and a line end."""
    entry, event = read
    return (entry.raw if isinstance(event, NotAnEvent) else _plain(event)) + b"\n"


def as_json(read: Read) -> bytes:
    """One JSON object on one line; attributes that are empty are left out, ``data`` comes last.

    An unreadable entry has ``at``, ``error`` and its bytes as ``data_base64``.
    """
    entry, event = read
    if isinstance(event, NotAnEvent):
        parts = [("at", entry.location), ("error", str(event))]
        data = b'"data_base64":"%b"' % b64encode(entry.raw)
        return b"{%b,%b}\n" % (_members(parts), data)
    parts = [
        ("at", entry.location),
        ("channel", event.channel),
        ("type", event.type),
        ("time", format_time(event.time).decode()),
        ("id", event.id),
        ("source", event.source),
        ("content_type", event.content_type if event.content_type != JSON else ""),
        ("key", event.key),
        ("correlation_id", event.correlation_id),
        ("causation_id", event.causation_id),
        ("traceparent", event.traceparent),
    ]
    members = _members(parts)
    if event.headers:
        members += b',"headers":' + msgspec.json.encode(event.headers)
    if event.binary:
        data = b'"data_base64":"%b"' % b64encode(event.payload)
    else:
        data = b'"data":' + event.payload.translate(_LINE_ENDS)
    return b"{%b,%b}\n" % (members, data)


def _members(parts: list[tuple[str, str]]) -> bytes:
    return b",".join(
        b'"%b":%b' % (name.encode(), msgspec.json.encode(value)) for name, value in parts if value
    )


# -- for people ---------------------------------------------------------------------------------------------------


class PersonsLines:
    """Entries -> lines in columns: time, channel, type if it says more, payload.

    ``width`` is asked for each line, since a window changes its size; ``whole`` leaves the payload uncut;
    ``full`` adds the attributes and spreads JSON over lines.
    """

    def __init__(self, paint: Paint, *, width: Callable[[], int], whole: bool, full: bool) -> None:
        self._paint = paint
        self._width = width
        self._whole = whole
        self._full = full
        self._channel_columns = 8
        self._date = ""

    def line(self, read: Read) -> str:
        """One entry, with its line end; a new day is announced by a line of its own."""
        entry, event = read
        logged = _local(entry.position.ms)
        head = self._new_day(logged)
        time = logged.strftime("%H:%M:%S.") + f"{logged.microsecond // 1000:03d}"
        if isinstance(event, NotAnEvent):
            text = f"unreadable entry {entry.location}: {event}"
            return f"{head}{self._paint.dim(time)} {self._paint.red(self._fitted(safe(text), _TIME_COLUMNS + 1))}\n"
        channel = safe(event.channel)
        self._channel_columns = max(self._channel_columns, min(columns(channel), _CHANNEL_COLUMNS))
        shown = channel if self._whole or self._full else cut(channel, self._channel_columns)
        pad = " " * max(0, self._channel_columns - columns(shown))
        used = _TIME_COLUMNS + 1 + columns(shown) + len(pad) + 2
        line = f"{head}{self._paint.dim(time)} {self._paint.channel(event.channel, shown)}{pad}  "
        if event.type != event.channel:
            kind = safe(event.type)
            line += self._paint.dim(kind) + "  "
            used += columns(kind) + 2
        if self._full:
            return f"{line}\n{self._spread(entry, event)}"
        return f"{line}{self._payload(event, used)}\n"

    def _new_day(self, logged: datetime) -> str:
        date = logged.strftime("%A, %Y-%m-%d")
        if date == self._date:
            return ""
        self._date = date
        return self._paint.dim(f"── {date} ──") + "\n"

    def _payload(self, event: Event, used: int) -> str:
        if event.binary:
            return self._paint.dim(self._fitted(f"{len(event.payload):,} bytes ", used)) + self._fitted(
                safe(event.payload.decode(errors="backslashreplace")),
                used + len(f"{len(event.payload):,} bytes "),
            )
        return self._fitted(safe(payload_text(event)), used)

    def _fitted(self, text: str, used: int) -> str:
        return text if self._whole else cut(text, self._width() - used)

    def _spread(self, entry: Entry, event: Event) -> str:
        """The attributes, and the payload over as many lines as it takes."""
        facts = [
            ("at", entry.location),
            ("id", event.id),
            ("source", event.source),
            ("time", format_time(event.time).decode()),
            ("content type", event.content_type),
            ("key", event.key),
            ("correlation id", event.correlation_id),
            ("causation id", event.causation_id),
            ("traceparent", event.traceparent),
            *event.headers.items(),
        ]
        lines = [f"    {self._paint.dim(f'{name:<14}')} {safe(value)}" for name, value in facts if value]
        stored = b64encode(event.payload) if event.binary else event.payload  # as in its column
        payload = rendering.pretty(stored.decode(), event.binary, content_type=event.content_type)
        return "\n".join([*lines, *(f"    {line}" for line in payload.split("\n")), "", ""])


def _local(ms: int) -> datetime:
    """Milliseconds since 1970 in the site's time zone; a stream id may be beyond what a calendar holds."""
    return datetime.fromtimestamp(min(ms, _LAST_MS) / 1000, UTC).astimezone()
