"""A row -> what its page shows: its way through the system, its attributes, its payload in two forms."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from django.http import HttpRequest
from django.utils.translation import gettext as _

from messaging import rows
from messaging.admin.columns import RESENT, milliseconds, state_of
from messaging.admin.reading import live_url, page_url
from messaging.event import Event
from messaging.models import Message
from messaging.quantities import moment, size, span
from messaging.rendering import SHOWN, SHOWN_BYTES, is_cut, laid_out, pretty, raw, visible
from messaging.snippets import snippets

TINTED = 4000  # tokens of a payload that are coloured; more would make a heavy page


class Fact(NamedTuple):
    """One line of a table; ``name`` is how the page's script finds it."""

    name: str
    label: str
    value: str
    note: str = ""


def journey(row: Message) -> list[Fact]:
    """Published, taken by the log, stored: when, and how long after the first."""
    steps = [Fact("published", _("Published"), moment(row.time))]
    if row.logged_at is None or row.stored_at is None:
        return [*steps, Fact("logged", _("In the log"), ""), Fact("stored", _("Stored"), "")]
    for name, label, at in (
        ("logged", _("In the log"), row.logged_at),
        ("stored", _("Stored"), row.stored_at),
    ):
        after = span(milliseconds(at, row.time))
        steps.append(Fact(name, label, moment(at), after if after.startswith("−") else f"+{after}"))
    return steps


def place(row: Message) -> list[Fact]:
    """Where it stands in the log; empty values while it is pending."""
    return [
        Fact("position", _("Position"), row.location or ""),
        Fact("epoch", _("Epoch of the log"), row.epoch or ""),
        *([] if row.queued_at is None else [Fact("sends", _("Times sent by the outbox"), str(row.sends))]),
    ]


def identity(row: Message, event: Event) -> list[Fact]:
    """What the publisher said of it."""
    payload = _("%(size)s, binary") if row.binary else "%(size)s"
    facts = [
        Fact("id", _("Id"), event.id),
        Fact("source", _("Publisher (source)"), event.source),
        Fact("channel", _("Channel (subject)"), event.channel),
        Fact("type", _("Type"), event.type),
        Fact("key", _("Key (partitionkey)"), event.key),
        Fact("content", _("Content type"), event.content_type),
        Fact("size", _("Payload"), payload % {"size": size(len(event.payload))}),
        Fact("correlation", _("Correlation id"), event.correlation_id),
        Fact("causation", _("Causation id"), event.causation_id),
        Fact("traceparent", _("Trace (traceparent)"), event.traceparent),
        *(Fact(f"header-{name}", _("Header %s") % name, value) for name, value in event.headers.items()),
    ]
    return [fact._replace(value=visible(fact.value)) for fact in facts if fact.value]


def sentence(row: Message) -> str:
    """What the row waits for, or how long it took; and why the listener had to send it."""
    if row.stored_at is not None and not row.is_pending:
        said = _("Stored %s after it was published.") % span(milliseconds(row.stored_at, row.time))
    elif row.ordered and not row.sends:
        said = _("Waits in the outbox for its turn: its channel is ordered.")
    elif not row.sends:
        said = _("Waits in the outbox for Redis.")
    elif row.sends == 1:
        said = _("Sent to Redis, waits for the listener to store it.")
    else:
        said = _("Sent to Redis %d times, waits for the listener to store it.") % row.sends
    if row.resent:
        said += " " + _("The listener had to send it: %s.") % RESENT.get(row.resent, row.resent)
    if row.late:
        said += " " + _("Newer messages of its channel stand before it in the log.")
    return said


def state(row: Message) -> dict[str, Any]:
    """What changes while the page is open: for its script."""
    steps = journey(row)
    return {
        "state": state_of(row),
        "sentence": sentence(row),
        "facts": {fact.name: fact.value for fact in (*steps, *place(row))},
        "notes": {fact.name: fact.note for fact in steps},
    }


def event_of(row: Message) -> Event:
    """The row as an event; attributes that cannot be read (somebody wrote to the table) are left out."""
    try:
        return row.as_event()
    except (msgspec.MsgspecError, ValueError):
        row.attributes = ""
        return row.as_event()


def payload(row: Message) -> dict[str, Any]:
    """The payload for the page: laid out (as tokens when there are few enough to colour) and raw, both cut."""
    if row.binary:
        tokens = [("hexdump", pretty(row.payload, True))]
    else:
        tokens = laid_out(row.payload, content_type=row.content_type)
    coloured = len(tokens) <= TINTED
    return {
        "tokens": tokens if coloured else [("text", "".join(text for _, text in tokens))],
        "raw": raw(row.payload, row.binary),
        "cut": is_cut(row.payload, row.binary),
        "shown": size(SHOWN_BYTES if row.binary else SHOWN),
    }


def context(row: Message, request: HttpRequest) -> dict[str, Any]:
    """For ``message/detail.html``."""
    row, redacted = rows.seen_by(row, request.user)
    event = event_of(row)
    publish_url = page_url("publish")
    return {
        "state": state_of(row),
        "sentence": sentence(row),
        "journey": journey(row),
        "place": place(row),
        "identity": identity(row, event),
        "payload": payload(row),
        "payload_size": size(len(event.payload)),
        "snippets": snippets(event, publish_url=publish_url and request.build_absolute_uri(publish_url)),
        "live_url": live_url(row.channel),
        "page_url": page_url("message", row.pk),
        "channel": visible(row.channel),
        "redacted": redacted,
        "shown": row,
    }
