"""The quarantine -> its pages: what could not be stored, with its bytes; stored again or discarded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet, Value
from django.db.models.functions import Left, Length
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from messaging import redaction
from messaging.admin.hearing import hears
from messaging.admin.reading import ReadingAdmin, download
from messaging.admin.reasons import HIDDEN, QuarantineList, hidden, unnamed, with_reasons
from messaging.admin.tables import when
from messaging.models import Quarantine
from messaging.quantities import moment, size
from messaging.quarantine import Retried, discard, entries, retry
from messaging.rendering import decoded, hexdump, visible

REASON = 160  # characters of a reason in a list
MOST = 10_000  # entries that one action takes: a few seconds
SAMPLE = 5  # entries that the confirmation shows


@admin.register(Quarantine)
class QuarantineAdmin(ReadingAdmin[Quarantine]):
    """Entries that are no messages: their bytes, what is wrong with them, and what can be done about it."""

    list_display = ("quarantined", "place", "why", "body_size")
    list_display_links = ("quarantined",)
    list_per_page = 50
    sortable_by = ()
    ordering = ("-pk",)
    list_filter = ("quarantined_at", "partition")
    search_fields = ("reason",)
    search_help_text = gettext_lazy("A part of the reason.")
    actions = ("retry", "delete_selected")
    fields = ("place", "reason_text", "quarantined_long", "logged_long", "epoch", "body_long")
    readonly_fields = fields
    change_form_template = "admin/messaging/quarantine/detail.html"
    confirmation_template = "admin/messaging/quarantine/confirmation.html"

    class Media:
        css = {"all": ("messaging/admin/messages.css",)}  # noqa: RUF012

    def get_queryset(self, request: HttpRequest) -> QuerySet[Quarantine]:
        rows = super().get_queryset(request)
        if not redaction.may_see_all(request.user):  # a reason quotes what it is about
            return rows.defer("body", "reason").annotate(
                body_bytes=Length("body"), reason_head=Value(str(HIDDEN)), hidden=Value(True)
            )
        return rows.defer("body").annotate(body_bytes=Length("body"), reason_head=Left("reason", REASON + 1))

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Quarantine | None:
        """One of them; its name has its reason in it."""
        row = super().get_object(request, object_id, from_field)
        if row is not None and (why := hidden(request, row)):
            row.reason = why
        return row

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[QuarantineList]:
        return QuarantineList

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        whole = redaction.may_see_all(request.user) and hears(request) is None  # a search tells what it finds
        return self.search_fields if whole else ()

    def get_urls(self) -> list[URLPattern]:
        paths = [
            path(
                f"<path:object_id>/{name}/",
                self.admin_site.admin_view(view),
                name=f"messaging_quarantine_{name}",
            )
            for name, view in (("body", self.body_view), ("retry", self.retry_view))
        ]
        return [*paths, *super().get_urls()]

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("messaging.retry_quarantine"))

    def body_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The bytes, as a file."""
        row = self._seen(request, object_id)
        if why := hidden(request, row):
            raise PermissionDenied(why)
        return download(bytes(row.body), f"entry-{row.location}.bin")

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row: Quarantine | None = kwargs.get("obj")
        if row is not None:
            why = hidden(request, row)
            body = why.encode() or bytes(row.body)
            context |= {
                "title": _("Quarantined entry"),
                "body_text": decoded(body),
                "body_hex": why or hexdump(body),
                "may_retry": self.has_retry_permission(request),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    # -- what can be done

    def retry_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """One entry again: POST does, and GET leads to its page, which has the button."""
        if not self.has_retry_permission(request):
            raise PermissionDenied
        row = self._seen(request, object_id)
        if request.method == "POST" and not any(each.reason for each in self._retry(request, [row.pk])):
            return HttpResponseRedirect(self._url("changelist"))
        return HttpResponseRedirect(self._url("change", row.pk))

    @admin.action(description=gettext_lazy("Store selected entries again"), permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Quarantine]) -> HttpResponse | None:
        ids = self._chosen(request, queryset)
        if ids and request.POST.get("post"):
            self._retry(request, ids)
            return None
        return self._confirmation(request, "retry", ids) if ids else None

    @admin.action(description=gettext_lazy("Discard selected entries"), permissions=["delete"])
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Quarantine]) -> HttpResponse | None:
        """Instead of Django's own, which reads every row whole."""
        ids = self._chosen(request, queryset)
        if not ids or not request.POST.get("post"):
            return self._confirmation(request, "delete_selected", ids) if ids else None
        rows = list(entries().filter(pk__in=ids))
        LogEntry.objects.log_actions(self._user(request), unnamed(request, rows), DELETION, _("Discarded."))
        gone = discard(ids)
        text = ngettext("%d entry was discarded.", "%d entries were discarded.", gone) % gone
        self.message_user(request, text, messages.SUCCESS)
        return None

    def _retry(self, request: HttpRequest, ids: Sequence[int]) -> list[Retried]:
        """Do it, note it in Django's log, and say how it went."""
        done = list(retry(ids))
        stored = unnamed(request, [each.row for each in done if not each.reason])
        stay = [each for each in done if each.reason]
        user = self._user(request)
        if stored:
            LogEntry.objects.log_actions(user, stored, DELETION, _("Retried: stored in the table."))
            text = ngettext("%d entry is in the table now.", "%d entries are in the table now.", len(stored))
            self.message_user(request, text % len(stored), messages.SUCCESS)
        if stay:
            LogEntry.objects.log_actions(
                user, unnamed(request, [each.row for each in stay]), CHANGE, _("Retried: refused again.")
            )
            text = ngettext(
                "%(count)d entry stays in quarantine: %(reason)s",
                "%(count)d entries stay in quarantine, the first because: %(reason)s",
                len(stay),
            )
            reason = hidden(request, stay[0].row) or visible(stay[0].reason[:REASON])
            self.message_user(request, text % {"count": len(stay), "reason": reason}, messages.WARNING)
        if not done:
            self.message_user(request, _("It is not in quarantine any more."), messages.WARNING)
        return done

    def _chosen(self, request: HttpRequest, queryset: QuerySet[Quarantine]) -> list[int]:
        """The ids that an action is about: once it is confirmed, none that came after the question."""
        until = request.POST.get("until", "")
        if until.isascii() and until.isdecimal() and len(until) < 19:
            queryset = queryset.filter(pk__lte=int(until))
        ids = list(queryset.order_by("pk").values_list("pk", flat=True)[: MOST + 1])
        if len(ids) > MOST:
            text = _(
                "At most %(most)s entries can be chosen at a time: narrow the filters, or use "
                "manage.py messaging quarantine."
            )
            self.message_user(request, text % {"most": f"{MOST:,}"}, messages.ERROR)
            return []
        return ids

    def _confirmation(self, request: HttpRequest, action: str, ids: Sequence[int]) -> HttpResponse:
        across = request.POST.get("select_across") == "1"
        sample = self.get_queryset(request).filter(pk__in=ids[:SAMPLE]).order_by("pk")
        context = {
            **self.admin_site.each_context(request),
            "title": _("Store again") if action == "retry" else _("Discard"),
            "subtitle": None,
            "opts": self.opts,
            "original": _("Store again") if action == "retry" else _("Discard"),
            "has_view_permission": True,
            "media": self.media,
            "action": action,
            "count": len(ids),
            "until": ids[-1],
            "across": across,
            "filtered": request.GET.urlencode() if across else "",
            "chosen": [0] if across else ids,
            "sample": [
                {"pk": row.pk, "place": self.place(row), "why": self.why(row), "size": self.body_size(row)}
                for row in with_reasons(request, sample)
            ],
            "left_out": max(0, len(ids) - SAMPLE),
            "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
            "cancel_url": request.get_full_path(),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, self.confirmation_template, context)

    def _seen(self, request: HttpRequest, object_id: str) -> Quarantine:
        """An entry that the user may see; 404 if there is none."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        return row

    @staticmethod
    def _user(request: HttpRequest) -> Any:
        return request.user.pk

    def _url(self, name: str, *args: object) -> str:
        return reverse(f"{self.admin_site.name}:messaging_quarantine_{name}", args=args)

    # -- columns

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
        return str(HIDDEN) if hasattr(row, "hidden") else visible(row.reason)

    @admin.display(description=gettext_lazy("size"))
    def body_size(self, row: Any) -> str:
        return size(row.body_bytes)

    @admin.display(description=gettext_lazy("bytes"))
    def body_long(self, row: Any) -> SafeString:
        url = reverse(f"{self.admin_site.name}:messaging_quarantine_body", args=(row.pk,))
        return format_html('{} <a href="{}" download>{}</a>', size(row.body_bytes), url, _("Download"))
