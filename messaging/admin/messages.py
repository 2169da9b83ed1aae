"""The table of messages -> its pages: the list, one message, the form, what can be done with chosen rows."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging import redaction, rows
from messaging.admin import detail
from messaging.admin.changelist import SCANNED, ByteLength, MessageChangeList
from messaging.admin.columns import Columns, outbox_summary
from messaging.admin.filters import ChannelFilter, StateFilter, TimeFilter, TypeFilter
from messaging.admin.posting import PostingAdmin
from messaging.admin.reading import download, live_url
from messaging.models import Message
from messaging.quantities import size
from messaging.single import payload_file

MAX_CHOSEN = 500  # rows that one action takes: Django reads at most 1,000 form fields

MAX_CHOSEN_BYTES = 32 * 1024 * 1024  # of payloads that one action publishes again: they are held in memory


@admin.register(Message)
class MessageAdmin(Columns, PostingAdmin):
    """Messages can be posted, read and deleted; what was sent cannot be edited."""

    list_display = ("at", "on_channel", "payload_head", "payload_size", "state")
    list_display_links = ("at",)
    list_filter = (ChannelFilter, StateFilter, TimeFilter, TypeFilter)
    list_per_page = 50
    sortable_by = ()
    search_fields = ("payload", "event_id", "key")
    search_help_text = format_lazy(
        gettext_lazy(
            "Payload, key or event id, among the newest {scanned} messages that time, channel and state leave. "
            "A whole event id or a position is found in the whole table."
        ),
        scanned=f"{SCANNED:,}",
    )
    show_facets = admin.ShowFacets.NEVER
    actions = ("publish_again", "delete_selected")
    change_form_template = "admin/messaging/message/detail.html"
    change_list_template = "admin/messaging/message/change_list.html"

    class Media:
        css = {"all": ("messaging/admin/messages.css",)}  # noqa: RUF012

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[MessageChangeList]:
        return MessageChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Message], search_term: str
    ) -> tuple[QuerySet[Message], bool]:
        """Left to the change list, which searches a bounded part of the table."""
        return queryset, False

    def get_urls(self) -> list[URLPattern]:
        own = [
            ("publish-again", self.publish_again_view),
            ("state", self.state_view),
            ("payload", self.payload_view),
        ]
        paths = [
            path(
                f"<path:object_id>/{name}/",
                self.admin_site.admin_view(view),
                name=f"messaging_message_{name.replace('-', '_')}",
            )
            for name, view in own
        ]
        return [*paths, *super().get_urls()]

    # -- one message

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row: Message | None = kwargs.get("obj")
        if row is not None:
            context |= detail.context(row, request)
            context |= {"title": _("Message"), "may_publish": self.has_publish_permission(request)}
        return super().render_change_form(request, context, *args, **kwargs)

    def state_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """How far it is, as JSON: asked again and again by a page that shows a pending message."""
        return JsonResponse(detail.state(self.seen(request, object_id)))

    def payload_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The whole payload as a file; a text is its characters, not its JSON string."""
        row = self.seen(request, object_id)
        if not redaction.may_see_all(request.user):
            row, _redacted = rows.seen_by(row, request.user)
        body, suffix = payload_file(row)
        return download(body, f"message-{row.pk}.{suffix}")

    # -- the list

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"live_url": live_url(), "max_chosen": MAX_CHOSEN, "outbox": outbox_summary()}
        return super().changelist_view(request, context | (extra_context or {}))

    @admin.action(description=gettext_lazy("Publish selected messages again"), permissions=["publish"])
    def publish_again(self, request: HttpRequest, queryset: QuerySet[Message]) -> HttpResponse | None:
        if (chosen := self._chosen(request, queryset)) is None:
            return None
        total = chosen.aggregate(total=Sum(ByteLength("payload")))["total"] or 0
        if total > MAX_CHOSEN_BYTES:
            text = _("The chosen messages hold %s. Choose fewer at a time.") % size(total)
            self.message_user(request, text, messages.ERROR)
            return None
        wanted = sorted(chosen, key=lambda row: (row.is_pending, row.log_ms, row.log_seq, row.pk))
        return self.again_from_list(request, wanted)

    @admin.action(description=gettext_lazy("Delete selected messages"), permissions=["delete"])
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Message]) -> HttpResponse | None:
        if (chosen := self._chosen(request, queryset)) is None:
            return None
        return delete_selected(self, request, chosen.defer("payload", "attributes"))

    def _chosen(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message] | None:
        """The rows of an action by their keys; ``None``, and a message, when there are too many for one page."""
        keys = list(queryset.values_list("pk", flat=True)[: MAX_CHOSEN + 1])
        if len(keys) > MAX_CHOSEN:
            text = _("At most %d messages can be chosen at a time: narrow the filters.") % MAX_CHOSEN
            self.message_user(request, text, messages.ERROR)
            return None
        return self.get_queryset(request).filter(pk__in=keys)

    # -- deleting

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        return super().render_delete_form(request, context | {"pending": int(context["object"].is_pending)})
