"""What the pages about queues share: who may see and do what, a Redis that is away, the admin's log, confirmations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import django
from django.contrib import messages
from django.contrib.admin.models import LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from messaging.admin.columns import timestamp
from messaging.admin.reading import ModelAdmin
from messaging.errors import BrokerError
from messaging.quantities import clock
from messaging.rendering import visible
from messaging.taskqueue import standing
from messaging.taskqueue.queue import Queue as TaskQueue

REFRESH = (0, 5, 30)  # seconds that a page may be asked to reload itself after; 0: never

View = Callable[..., HttpResponse]


class Crumb(NamedTuple):
    """A step of the way to a page."""

    label: str
    url: str


class ConsoleAdmin(ModelAdmin[Any]):
    """Pages of what has no table. ``viewing`` and ``managing`` are codenames of permissions."""

    viewing = ""
    managing = ""

    class Media:
        css = {"all": ("messaging/admin/messages.css", "messaging/admin/queues.css")}  # noqa: RUF012

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(f"messaging.{self.viewing}"))

    def has_manage_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(f"messaging.{self.managing}"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    # -- views

    def route(self, pattern: str, view: View, name: str, *, manage: bool = False) -> URLPattern:
        """A page of this model; with ``manage`` only for those who may change something."""

        def guarded(request: HttpRequest, **parts: str) -> HttpResponse:
            if not (self.has_manage_permission if manage else self.has_view_permission)(request):
                codename = self.managing if manage else self.viewing
                raise PermissionDenied(_("The permission messaging.%s is needed.") % codename)
            try:
                return view(request, **{key: unquote(value) for key, value in parts.items()})
            except BrokerError as error:
                return self.page(request, "away", _("Redis is away"), status=503, error=str(error))

        wrapped = self.admin_site.admin_view(never_cache(guarded))
        return path(pattern, wrapped, name=f"messaging_{self.opts.model_name}_{name}")

    def page(
        self,
        request: HttpRequest,
        template: str,
        title: str,
        *,
        crumbs: Sequence[Crumb] = (),
        status: int = 200,
        **context: Any,
    ) -> HttpResponse:
        """A page below this model's list; ``crumbs`` stand between the list and it."""
        every = request.GET.get("every", "")
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "subtitle": None,
            "opts": self.opts,
            "media": self.media,
            "way": [
                Crumb(str(self.opts.app_config.verbose_name), self._index()),
                *(
                    [Crumb(capfirst(str(self.opts.verbose_name_plural)), self.url("changelist"))]
                    if crumbs and self.has_view_permission(request)
                    else ()
                ),
                *(crumb for crumb in crumbs if crumb.url),
            ],
            "new_breadcrumbs": django.VERSION >= (6, 1),
            "may_manage": self.has_manage_permission(request),
            "may_view_queues": may_view(request, "queue"),
            "may_view_tasks": may_view(request, "task"),
            "every": int(every) if every in map(str, REFRESH) else 0,
            "intervals": REFRESH,
            "now": timezone.localtime(),
            **context,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, f"admin/messaging/queue/{template}.html", context, status=status)

    def confirmation(self, request: HttpRequest, title: str, **context: Any) -> HttpResponse:
        """A question: ``sentence``, ``count``, ``sample`` ..., whose POST carries all of ``fields``; with ``danger``
        its button is one that removes."""
        here = Crumb(title, "")
        context["cancel_url"] = self._open_to(request, context["cancel_url"])
        return self.page(request, "confirmation", title, crumbs=[here], **context)

    def _open_to(self, request: HttpRequest, to: str) -> str:
        """``to``, or the app's index for those who may change what they may not view."""
        return to if self.has_view_permission(request) else self._index()

    def _index(self) -> str:
        return reverse(f"{self.admin_site.name}:app_list", args=("messaging",))

    def url(self, name: str, *args: str, model: str = "") -> str:
        return url(self.admin_site.name, f"{model or self.opts.model_name}_{name}", *args)

    def done(
        self, request: HttpRequest, text: str, to: str, *, level: int = messages.SUCCESS
    ) -> HttpResponse:
        """Say it, and go there."""
        self.message_user(request, text, level)
        return HttpResponseRedirect(self._open_to(request, to))


def may_view(request: HttpRequest, name: str) -> bool:
    """May the user open the pages of this model of ours? A link to one that answers 403 helps nobody."""
    return bool(request.user.has_perm(f"messaging.view_{name}"))


def url(site: str, name: str, *args: str) -> str:
    """One of these pages."""
    return reverse(f"{site}:messaging_{name}", args=[quote(arg, safe="") for arg in args])


def noted(request: HttpRequest, rows: Iterable[Model], flag: int, text: str) -> None:
    """Into the admin's log: never what a task was called with."""
    found = list(rows)
    user: Any = request.user
    if found:
        LogEntry.objects.log_actions(user.pk, found, flag, text)


def who(request: HttpRequest) -> str:
    """For what is kept in Redis."""
    return str(request.user.get_username())


def queue_or_404(backend: str, name: str) -> TaskQueue:
    """One that is known."""
    for each in standing.all_queues():
        if (each.alias, each.name) == (backend, name):
            return each
    raise Http404(_("There is no such queue."))


def titled(queues: Sequence[TaskQueue]) -> dict[tuple[str, str], str]:
    """(backend, name) -> what a page calls it: the name, behind the backend where there are several."""
    several = len({each.alias for each in queues}) > 1
    return {
        (each.alias, each.name): visible(f"{each.alias}/{each.name}" if several else each.name)
        for each in queues
    }


def at(ms: int) -> SafeString | str:
    """Milliseconds since 1970 -> a time for eyes; "" for 0."""
    if not ms:
        return ""
    try:
        time = datetime.fromtimestamp(ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return str(ms)
    return timestamp(time, clock(time, now=timezone.now()))
