"""The outbox of tasks -> a page to read: what waits for its queue, since when and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet, Value
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from messaging.admin.columns import milliseconds
from messaging.admin.reading import ReadingAdmin
from messaging.admin.tables import when
from messaging.conf import conf
from messaging.models import PendingTask
from messaging.quantities import COUNTED, span
from messaging.rendering import visible
from messaging.taskqueue import waiting
from messaging.taskqueue.outbox import databases

FOUND = {
    "unsent": gettext_lazy("sent by the listener: its process had ended before, or Redis was away"),
    "lost": gettext_lazy("sent again by the listener: its queue did not have it any more"),
    "unreadable": gettext_lazy("cannot be read: somebody changed the row by hand, and it stays"),
}


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts and pages through the oldest ``COUNTED`` rows."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[:COUNTED].count())


class DatabaseFilter(admin.SimpleListFilter):
    """Where several databases have an outbox: which one."""

    title = gettext_lazy("database")
    parameter_name = "database"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        names = databases()
        return [(name, name) for name in names if name != conf.DATABASE] if len(names) > 1 else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[PendingTask]) -> QuerySet[PendingTask]:
        chosen = self.value()
        return queryset.using(chosen) if chosen in databases() else queryset

    def choices(self, changelist: ChangeList) -> Any:
        first, *others = super().choices(changelist)
        yield {**first, "display": conf.DATABASE}  # there is no list of all
        yield from others


@admin.register(PendingTask)
class PendingTaskAdmin(ReadingAdmin[PendingTask]):
    """Tasks of committed transactions that are not certain to be in their queues; the oldest first."""

    deletable = False
    list_display = ("task_name", "to", "queued", "why", "next_look")
    list_display_links = None
    list_filter = (DatabaseFilter,)
    list_per_page = 50
    paginator = BoundedPaginator
    sortable_by = ()
    ordering = ("pk",)
    show_facets = admin.ShowFacets.NEVER
    change_list_template = "admin/messaging/pending.html"

    class Media:
        css = {"all": ("messaging/admin/messages.css", "messaging/admin/queues.css")}  # noqa: RUF012

    def get_queryset(self, request: HttpRequest) -> QuerySet[PendingTask]:
        linked = Value(request.user.has_perm("messaging.view_task"))
        return super().get_queryset(request).defer("body", "options").annotate(linked=linked)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The list: a row's own page would show its arguments."""
        return obj is None and super().has_view_permission(request)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(request, {"told": summary(), **(extra_context or {})})

    @admin.display(description=gettext_lazy("task"))
    def task_name(self, row: Any) -> SafeString:
        """With a link to what its queue knows of it, once it has been sent."""
        name = format_html('<span class="mb-name">{}</span>', visible(row.task))
        if row.sent_at is not None and row.linked:
            url = reverse(f"{self.admin_site.name}:messaging_task_change", args=[row.job_id])
            name = format_html('<a href="{}">{}</a>', url, name)
        return format_html('{}<br><span class="mb-name mb-quiet">{}</span>', name, row.job_id)

    @admin.display(description=gettext_lazy("queue"))
    def to(self, row: PendingTask) -> str:
        return visible(row.queue if row.backend == "default" else f"{row.backend}/{row.queue}")

    @admin.display(description=gettext_lazy("enqueued"))
    def queued(self, row: PendingTask) -> SafeString:
        waited = _("waits for %s") % span(milliseconds(timezone.now(), row.queued_at))
        return format_html('{}<br><span class="mb-number mb-quiet">{}</span>', when(row.queued_at), waited)

    @admin.display(description=gettext_lazy("why it waits"))
    def why(self, row: PendingTask) -> SafeString:
        if row.resent == "unreadable":
            return format_html('<span class="mb-bad">{}</span>', FOUND["unreadable"])
        if row.sent_at is None:
            overdue = row.look_at <= timezone.now()
            words = _("not sent, and overdue") if overdue else _("sent soon by the process that enqueued it")
        else:
            sent = ngettext("sent once", "sent %(count)d times", row.sends) % {"count": row.sends}
            words = _("%s, until its queue says that it has it") % sent
        return format_html('{}<br><span class="mb-quiet">{}</span>', words, FOUND.get(row.resent, ""))

    @admin.display(description=gettext_lazy("the listener looks"))
    def next_look(self, row: PendingTask) -> SafeString | str | None:
        return _("now") if row.look_at <= timezone.now() else when(row.look_at)


def summary() -> dict[str, Any] | None:
    """What waits, for the head of a page; ``None`` if nothing does."""
    told = waiting.look()
    if not told.pending:
        return None
    return {
        "pending": bounded(told.pending),
        "oldest": span(told.oldest_seconds * 1000),
        "unsent": bounded(told.unsent) if told.unsent else "",
        "found": [(bounded(count), FOUND[why]) for why, count in told.resent.items()],
    }


def bounded(count: int) -> str:
    return f"{COUNTED:,}+" if count >= COUNTED else f"{count:,}"
