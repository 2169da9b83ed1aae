"""The other tables -> pages to read: channels, positions of readers, gaps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery, Value
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.admin.columns import milliseconds, timestamp
from messaging.admin.hearing import LOOKED_AT, ChannelList, HearingAdmin
from messaging.admin.reading import ReadingAdmin, live_url
from messaging.conf import conf
from messaging.models import Channel, Cursor, Gap, Message
from messaging.quantities import clock, span
from messaging.rendering import visible

COUNTED = 1000  # messages of a channel that the list of channels counts


def when(time: datetime | None) -> SafeString | None:
    """A time for a column of a list."""
    return None if time is None else timestamp(time, clock(time, now=timezone.now()))


@admin.register(Channel)
class ChannelAdmin(HearingAdmin[Channel]):
    """Every channel that has been seen, with links to its messages."""

    channel_field = "name"
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
        return (
            super()
            .get_queryset(request)
            .annotate(
                latest_ms=Subquery(newest.values("log_ms")[:1]),
                linked=Value(request.user.has_perm("messaging.view_message")),
            )
        )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChannelList]:
        return ChannelList

    def get_changelist_instance(self, request: HttpRequest) -> ChannelList:
        found: ChannelList = super().get_changelist_instance(request)  # type: ignore[assignment]
        if found.is_cut:
            text = _("Only the first %s channels were looked through: search for the others.")
            self.message_user(request, text % f"{LOOKED_AT:,}", messages.WARNING)
        return found

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
    def stored(self, channel: Any) -> SafeString | str:
        rows = Message.objects.using(conf.DATABASE).filter(channel=channel.name)
        count = rows[: COUNTED + 1].count()
        said = f"{COUNTED:,}+" if count > COUNTED else f"{count:,}"
        if not channel.linked:
            return said
        url = reverse(f"{self.admin_site.name}:messaging_message_changelist")
        query = urlencode({"channel": channel.name})
        return format_html('<a href="{}?{}">{}</a>', url, query, said)

    @admin.display(description=gettext_lazy("live"))
    def links(self, channel: Any) -> SafeString | None:
        url = live_url(channel.name) if channel.linked else None
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


@admin.register(Gap)
class GapAdmin(ReadingAdmin[Gap]):
    """What may have been lost, and when that was noticed."""

    list_display = ("noticed", "partition", "reason", "from_position", "to_position", "missed")
    list_per_page = 50
    sortable_by = ()
    empty_value_display = "?"

    class Media:
        css = {"all": ("messaging/admin/messages.css",)}  # noqa: RUF012

    @admin.display(description=gettext_lazy("noticed"))
    def noticed(self, gap: Gap) -> SafeString | None:
        return when(gap.noticed_at)
