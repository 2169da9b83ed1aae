"""A location or a row -> one message, whole: its JSON document, what its page shows, its payload as a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from django.db.models import Q, QuerySet
from redis.exceptions import RedisError

from messaging import connection, log, redaction, rendering, rows
from messaging.conf import conf
from messaging.decoder import NotAnEvent
from messaging.errors import BrokerUnavailable
from messaging.event import encode
from messaging.log import LARGEST_STORED, Entry, Position
from messaging.models import Message
from messaging.payload import TEXT
from messaging.quantities import moment, size, span

LATE_MS = 1_000  # from the event's own time to the log; the live page draws the same lines
VERY_LATE_MS = 10_000

_SHOWN = 64 * 1024  # characters of an entry that is not an event


class Single(NamedTuple):
    """One message. ``row`` has no ``pk`` when it is only in the log; ``error`` says why an entry is not an event."""

    row: Message
    envelope: bytes
    error: str = ""
    redacted: bool = False  # is it less than what was published?

    def seen_by(self, user: Any) -> Single:
        """As this user may see it."""
        if not redaction.is_on():
            return self
        if self.error:
            return self._replace(envelope=b"", error=redaction.UNREADABLE)
        row, redacted = rows.seen_by(self.row, user)
        return Single(row, encode(row.as_event()), redacted=True) if redacted else self

    def json(self) -> bytes:
        """``{"at", "event", "pk"}`` with the payload as it was published, or ``{"at", "error", "cut", "pk"}``."""
        head = msgspec.json.encode(self.row.location)
        pk = msgspec.json.encode(self.row.pk)
        if self.error:
            cut = {"size": len(self.envelope), "text": rendering.decoded(self.envelope, limit=_SHOWN)}
            # json, since it takes whatever a str may hold
            rest = json.dumps({"error": self.error, "cut": cut})[1:-1].encode()
            return b'{"at":%b,%b,"pk":%b}' % (head, rest, pk)
        mark = b',"redacted":true' if self.redacted else b""
        return b'{"at":%b,"event":%b%b,"pk":%b}' % (head, self.envelope, mark, pk)


def stored(row: Message) -> Single:
    """A row as the event that was published."""
    return Single(row, encode(row.as_event()))


def at(location: str) -> Single | None:
    """What stands at ``<partition>.<ms>-<seq>``: the row, else the entry of the log, else ``None``.

    Raises :class:`~messaging.errors.BrokerUnavailable` when it is not stored and the log cannot be asked.
    """
    partition, position = _parsed(location)
    if position is None:
        return None
    row = (
        Message.objects.using(conf.DATABASE)
        .filter(partition=partition, log_ms=position.ms, log_seq=position.seq)
        .order_by("-pk")
        .first()
    )
    if row is not None:
        return stored(row)
    if partition not in log.partitions():
        return None
    try:
        entries = log.between(connection.client(timeout=1.0), partition, position, position, count=1)
    except RedisError as error:
        raise BrokerUnavailable(f"it is not stored, and the log cannot be asked: {error}") from error
    return _logged(entries[0]) if entries else None


def _parsed(location: str) -> tuple[int, Position | None]:
    partition, _, rest = location.partition(".")
    try:
        position = Position.parse(rest)
        number = int(partition) if partition.isdecimal() and len(partition) < 6 else -1
    except ValueError:
        return -1, None
    if number < 0 or max(position) > LARGEST_STORED:
        return -1, None
    return number, position


def _logged(entry: Entry) -> Single:
    now = datetime.now(UTC)
    error = ""
    try:
        event = entry.event()
        row = rows.pending_row(event, now)
        envelope = encode(event)
    except NotAnEvent as reason:
        error = str(reason)
        row = Message(channel="", time=now, payload="")
        envelope = entry.raw
    row.partition = entry.partition
    row.log_ms, row.log_seq = entry.position
    return Single(row, envelope, error)


def page(found: Single) -> dict[str, Any]:
    """What the template of one message needs."""
    row, error = found.row, found.error
    delay = None if row.log_ms is None or error else row.log_ms - int(row.time.timestamp() * 1000)
    return {
        "message": row,
        "error": error,
        "redacted": found.redacted,
        "channel_pattern": re.sub(r"[*?\[\]\\]", r"\\\g<0>", row.channel),
        "tokens": [] if row.binary else rendering.laid_out(row.payload, content_type=row.content_type),
        "hexdump": rendering.pretty(row.payload, True) if row.binary else "",
        "raw": rendering.decoded(found.envelope, limit=_SHOWN)
        if error
        else rendering.raw(row.payload, row.binary),
        "is_cut": rendering.is_cut(row.payload, row.binary),
        "size_text": size(len(found.envelope if error else row.payload_bytes)),
        "logged_text": _moment(row.logged_at),
        "time_text": _moment(row.time),
        "delay": "" if delay is None else span(delay),
        "late": "" if delay is None or delay < LATE_MS else "bad" if delay >= VERY_LATE_MS else "warn",
        "facts": list(_facts(row)),
        "earlier": _neighbour(row, later=False),
        "later": _neighbour(row, later=True),
    }


def _facts(row: Message) -> Iterator[tuple[str, str]]:
    named = {
        "Type": row.type,
        "Key": row.key,
        "Id": row.event_id,
        "Source": row.source,
        "Position": row.location,
    }
    attributes = msgspec.json.decode(row.attributes, type=dict[str, str]) if row.attributes else {}
    for name, value in (named | attributes).items():
        if value:
            yield name, value


def _moment(time: datetime | None) -> str:
    return "" if time is None else moment(time, UTC)


def _neighbour(row: Message, *, later: bool) -> Message | None:
    """The next stored message of the same channel in the order of the log."""
    if row.log_ms is None or not row.channel:
        return None
    same: QuerySet[Message] = Message.objects.using(conf.DATABASE).filter(channel=row.channel)
    if later:
        behind = Q(log_ms=row.log_ms, log_seq__gt=row.log_seq) | Q(log_ms__gt=row.log_ms)
        return same.filter(behind, log_ms__gte=row.log_ms).order_by("log_ms", "log_seq").only("pk").first()
    before = Q(log_ms=row.log_ms, log_seq__lt=row.log_seq) | Q(log_ms__lt=row.log_ms)
    return same.filter(before, log_ms__lte=row.log_ms).order_by("-log_ms", "-log_seq").only("pk").first()


def payload_file(row: Message) -> tuple[bytes, str]:
    """The payload as the bytes of a file, and the file's suffix. A text is its characters, not its JSON string."""
    if row.binary:
        return row.payload_bytes, "bin"
    if row.content_type.startswith(TEXT):
        try:
            return msgspec.json.decode(row.payload, type=str).encode("utf-8", "surrogatepass"), "txt"
        except (msgspec.MsgspecError, ValueError):
            pass
    return row.payload_bytes, "json"
