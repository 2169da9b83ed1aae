"""The other tables -> pages to read: channels, positions of readers, unreadable entries, gaps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Left, Length
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.admin.columns import milliseconds, timestamp
from messaging.admin.reading import ReadingAdmin, download, live_url
from messaging.conf import conf
from messaging.models import Channel, Cursor, Gap, Message, Quarantine
from messaging.quantities import clock, moment, size, span
from messaging.rendering import decoded, hexdump, visible

COUNTED = 1000  # messages of a channel that the list of channels counts
REASON = 160  # characters of a reason in a list


def when(time: datetime | None) -> SafeString | None:
    """A time for a column of a list."""
    return None if time is None else timestamp(time, clock(time, now=timezone.now()))


@admin.register(Channel)
class ChannelAdmin(ReadingAdmin[Channel]):
    """Every channel that has been seen, with links to its messages."""

    deletable = False
    list_display = ("channel_name", "latest", "stored", "links", "seen")
    list_display_links = None
    list_per_page = 50
    sortable_by = ()
    search_fields = ("name",)
    ordering = ("name",)

    class Media:
        css = {"all": ("messaging/admin/messages.css",)}  # noqa: RUF012

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        newest = Message.objects.filter(channel=OuterRef("name"), log_ms__isnull=False).order_by("-log_ms")
        return super().get_queryset(request).annotate(latest_ms=Subquery(newest.values("log_ms")[:1]))

    @admin.display(description=gettext_lazy("channel"))
    def channel_name(self, channel: Channel) -> SafeString:
        return format_html('<span class="mb-name">{}</span>', visible(channel.name))

    @admin.display(description=gettext_lazy("latest message"))
    def latest(self, channel: Any) -> SafeString | None:
        if channel.latest_ms is None:
            return None
        time = datetime.fromtimestamp(channel.latest_ms / 1000, UTC)
        return timestamp(time, _("%s ago") % span(milliseconds(timezone.now(), time)))

    @admin.display(description=gettext_lazy("stored messages"))
    def stored(self, channel: Channel) -> SafeString:
        rows = Message.objects.using(conf.DATABASE).filter(channel=channel.name)
        count = rows[: COUNTED + 1].count()
        url = reverse(f"{self.admin_site.name}:messaging_message_changelist")
        query = urlencode({"channel": channel.name})
        return format_html(
            '<a href="{}?{}">{}</a>', url, query, f"{COUNTED:,}+" if count > COUNTED else f"{count:,}"
        )

    @admin.display(description=gettext_lazy("live"))
    def links(self, channel: Channel) -> SafeString | None:
        url = live_url(channel.name)
        label = _("Live log of %s") % visible(channel.name)
        return (
            None
            if url is None
            else format_html('<a href="{}" aria-label="{}">{}</a>', url, label, _("Live log"))
        )

    @admin.display(description=gettext_lazy("first seen"))
    def seen(self, channel: Channel) -> SafeString | None:
        return when(channel.first_seen)


@admin.register(Cursor)
class CursorAdmin(ReadingAdmin[Cursor]):
    """How far each reader has come."""

    deletable = False
    list_display = ("reader", "partition", "position", "logged", "moved", "epoch", "fence")
    list_display_links = None
    sortable_by = ()
    ordering = ("reader", "partition")

    @admin.display(description=gettext_lazy("position"))
    def position(self, cursor: Cursor) -> str:
        return f"{cursor.log_ms}-{cursor.log_seq}"

    @admin.display(description=gettext_lazy("logged"))
    def logged(self, cursor: Cursor) -> SafeString | None:
        return when(datetime.fromtimestamp(cursor.log_ms / 1000, UTC)) if cursor.log_ms else None

    @admin.display(description=gettext_lazy("moved"))
    def moved(self, cursor: Cursor) -> SafeString | None:
        return when(cursor.moved_at)


@admin.register(Quarantine)
class QuarantineAdmin(ReadingAdmin[Quarantine]):
    """Entries that are no messages: their bytes and what is wrong with them."""

    list_display = ("quarantined", "place", "why", "body_size")
    list_display_links = ("quarantined",)
    list_per_page = 50
    sortable_by = ()
    ordering = ("-pk",)
    fields = ("place", "reason_text", "quarantined_long", "logged_long", "epoch", "body_long")
    readonly_fields = fields
    change_form_template = "admin/messaging/quarantine/detail.html"

    class Media:
        css = {"all": ("messaging/admin/messages.css",)}  # noqa: RUF012

    def get_queryset(self, request: HttpRequest) -> QuerySet[Quarantine]:
        rows = super().get_queryset(request)
        return rows.defer("body").annotate(body_bytes=Length("body"), reason_head=Left("reason", REASON + 1))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.body_view)
        return [path("<path:object_id>/body/", view, name="messaging_quarantine_body"), *super().get_urls()]

    def body_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The bytes, as a file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        return download(bytes(row.body), f"entry-{row.location}.bin")

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row: Quarantine | None = kwargs.get("obj")
        if row is not None:
            body = bytes(row.body)
            context |= {
                "title": _("Quarantined entry"),
                "body_text": decoded(body),
                "body_hex": hexdump(body),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description=gettext_lazy("quarantined"))
    def quarantined(self, row: Quarantine) -> SafeString | None:
        return when(row.quarantined_at)

    @admin.display(description=gettext_lazy("quarantined at"))
    def quarantined_long(self, row: Quarantine) -> str:
        return moment(row.quarantined_at)

    @admin.display(description=gettext_lazy("logged at"))
    def logged_long(self, row: Quarantine) -> str:
        return moment(datetime.fromtimestamp(row.log_ms / 1000, UTC))

    @admin.display(description=gettext_lazy("location in the log"))
    def place(self, row: Quarantine) -> SafeString:
        return format_html('<span class="mb-name">{}</span>', row.location)

    @admin.display(description=gettext_lazy("reason"))
    def why(self, row: Any) -> str:
        text: str = row.reason_head
        return visible(text if len(text) <= REASON else text[:REASON] + "…")

    @admin.display(description=gettext_lazy("reason"))
    def reason_text(self, row: Quarantine) -> str:
        return visible(row.reason)

    @admin.display(description=gettext_lazy("size"))
    def body_size(self, row: Any) -> str:
        return size(row.body_bytes)

    @admin.display(description=gettext_lazy("bytes"))
    def body_long(self, row: Any) -> SafeString:
        url = reverse(f"{self.admin_site.name}:messaging_quarantine_body", args=(row.pk,))
        return format_html('{} <a href="{}" download>{}</a>', size(row.body_bytes), url, _("Download"))


@admin.register(Gap)
class GapAdmin(ReadingAdmin[Gap]):
    """What may have been lost, and when that was noticed."""

    list_display = ("noticed", "partition", "reason", "from_position", "to_position", "missed")
    list_per_page = 50
    sortable_by = ()
    empty_value_display = "?"

    @admin.display(description=gettext_lazy("noticed"))
    def noticed(self, gap: Gap) -> SafeString | None:
        return when(gap.noticed_at)
