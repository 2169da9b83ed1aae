"""A row -> what the list of messages shows of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from django.contrib import admin
from django.utils import timezone
from django.utils.functional import lazy
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from messaging.admin.filters import LATE_SECONDS
from messaging.models import Message
from messaging.quantities import COUNTED, clock, moment, size, span
from messaging.rendering import preview, visible
from messaging.status import outbox_status

State = Literal["pending", "stored", "late"]

PREVIEW = 110


def state_of(message: Message) -> State:
    """Where it stands: waits in the outbox, stored, or stored long after its time."""
    if message.is_pending or message.stored_at is None:
        return "pending"
    return "late" if message.stored_at - message.time >= timedelta(seconds=LATE_SECONDS) else "stored"


def badge(state: State) -> SafeString:
    """The state in words, coloured besides."""
    label = {"pending": _("pending"), "stored": _("stored"), "late": _("late")}[state]
    return format_html('<span class="mb-badge mb-{}">{}</span>', state, label)


def overtaken() -> SafeString:
    """Marks a row that the sweeper sent behind newer messages of its channel."""
    title = _("The listener had to send it, and newer messages of its channel stand before it in the log.")
    return format_html('<br><span class="mb-badge mb-late" title="{}">{}</span>', title, _("out of order"))


RESENT = {
    "unsent": gettext_lazy("its process had ended before it was sent, or Redis was away"),
    "lost": gettext_lazy("it had been sent before, and the log did not have it"),
}


def outbox_summary() -> dict[str, Any] | None:
    """What waits in the outbox, for the head of the list; ``None`` if nothing does. Counts are bounded."""
    facts = outbox_status()
    if not facts["outbox_pending"]:
        return None
    return {
        "pending": _bounded(facts["outbox_pending"]),
        "oldest": span(facts["outbox_oldest_seconds"] * 1000),
        "ordered": _bounded(facts["outbox_ordered"]) if facts["outbox_ordered"] else "",
        "resent": [(_bounded(n), RESENT[reason]) for reason, n in facts["outbox_resent"].items()],
    }


def _bounded(count: int) -> str:
    return f"{COUNTED:,}+" if count >= COUNTED else f"{count:,}"


def milliseconds(later: datetime, earlier: datetime) -> float:
    return (later - earlier) / timedelta(milliseconds=1)


def timestamp(time: datetime, text: str) -> SafeString:
    return format_html('<time datetime="{}" title="{}">{}</time>', time.isoformat(), moment(time), text)


class Columns:
    """The list's columns, for :class:`~messaging.admin.messages.MessageAdmin`."""

    @admin.display(
        description=lazy(lambda: _("published (%s)") % timezone.get_current_timezone_name(), str)()
    )
    def at(self, message: Message) -> SafeString:
        return timestamp(message.time, clock(message.time, now=timezone.now()))

    @admin.display(description=gettext_lazy("channel, type"))
    def on_channel(self, message: Message) -> SafeString:
        """The type only if it says more than the channel does."""
        channel, kind = visible(message.channel), visible(message.type)
        name = format_html('<span class="mb-name" title="{}">{}</span>', channel, channel)
        if kind in ("", channel):
            return name
        return format_html('{}<br><span class="mb-name mb-quiet" title="{}">{}</span>', name, kind, kind)

    @admin.display(description=gettext_lazy("payload"))
    def payload_head(self, message: Any) -> SafeString:
        text = preview(message.head, message.binary, content_type=message.content_type, limit=PREVIEW)
        kind = "mb-binary" if message.binary else ""
        return format_html('<code class="mb-preview {}">{}</code>', kind, text or "(empty)")

    @admin.display(description=gettext_lazy("size"))
    def payload_size(self, message: Any) -> SafeString:
        count: int = message.stored_bytes
        if message.binary:  # base64
            count = count // 4 * 3 - message.tail.count("=")
        return format_html('<span class="mb-number">{}</span>', size(count))

    @admin.display(description=gettext_lazy("state, delay"))
    def state(self, message: Message) -> SafeString:
        """How long it took from the publisher's clock to the row, or how long it has been waiting."""
        state = state_of(message)
        if message.stored_at is None or message.logged_at is None:
            waiting = span(milliseconds(timezone.now(), message.queued_at or message.time))
            text = _("for %s") % waiting
            if message.sends:
                text = ngettext("%(text)s, sent once", "%(text)s, sent %(count)d times", message.sends) % {
                    "text": text,
                    "count": message.sends,
                }
            return format_html('{}<br><span class="mb-number mb-quiet">{}</span>', badge(state), text)
        logged, stored = (
            span(milliseconds(at, message.time)) for at in (message.logged_at, message.stored_at)
        )
        return format_html(
            '{} <span class="mb-number mb-quiet" title="{}">{}</span>{}',
            badge(state),
            _("in the log after %(log)s, stored after %(row)s") % {"log": logged, "row": stored},
            stored,
            overtaken() if message.late else "",
        )
