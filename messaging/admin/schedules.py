"""The recurring tasks -> a page: when each ticked last and ticks next; one is run now, paused, resumed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from messaging import recurring, timetable
from messaging.admin.columns import timestamp
from messaging.admin.consoles import ConsoleAdmin, at, noted, who
from messaging.admin.queues import LABELS, WHY
from messaging.errors import BrokerError
from messaging.quantities import clock, span
from messaging.rendering import visible
from messaging.tableless import Schedule, Task
from messaging.taskqueue.job import State
from messaging.timetable import OVERDUE_MS, Planned


@admin.register(Schedule)
class ScheduleAdmin(ConsoleAdmin):
    """Entries are settings: they are looked at, run once more, paused."""

    viewing, managing = "view_queue", "manage_task"

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("", self.list_view, "changelist"),
            self.route("<str:name>/change/", self.list_of_view, "change"),
            self.route("<str:name>/run/", self.run_view, "run", manage=True),
            self.route("<str:name>/pause/", self.pause_view, "pause", manage=True),
            self.route("<str:name>/resume/", self.resume_view, "resume", manage=True),
        ]

    def list_view(self, request: HttpRequest) -> HttpResponse:
        found, now_ms = timetable.look()
        _entries, wrong = recurring.schedule()
        return self.page(
            request,
            "schedules",
            _("Schedules"),
            rows=[self._row(each, now_ms) for each in found],
            wrong=[visible(str(each)) for each in wrong],
            why_length=WHY,
        )

    def list_of_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """Where the admin's log leads."""
        return HttpResponseRedirect(self.url("changelist"))

    def run_view(self, request: HttpRequest, name: str) -> HttpResponse:
        to = self.url("changelist")
        if request.method != "POST":
            return HttpResponseRedirect(to)
        try:
            made = timetable.run_now(name)
        except BrokerError:
            raise
        except Exception as error:  # no such entry; of the user's module, of Django's Tasks
            text = _("It cannot be enqueued: %s") % visible(str(error))
            return self.done(request, text, to, level=messages.ERROR)
        noted(request, [Schedule(id=name)], CHANGE, _("Run once more, now."))
        noted(request, [Task(id=made)], ADDITION, _("Of schedule %s, by hand.") % name)
        text = _("{} is enqueued once more.")
        if request.user.has_perm("messaging.view_task"):
            text += ' <a href="{}">{}</a>'
        link = self.url("change", made, model="task")
        return self.done(request, format_html(text, visible(name), link, _("Its task")), to)

    def pause_view(self, request: HttpRequest, name: str) -> HttpResponse:
        to = self.url("changelist")
        if request.method != "POST":
            return HttpResponseRedirect(to)
        why = request.POST.get("why", "").strip()[:WHY]
        try:
            was_running = timetable.pause(name, who(request), why)
        except LookupError as error:
            return self.done(request, visible(str(error.args[0])), to, level=messages.WARNING)
        if not was_running:
            return self.done(request, _("It was paused already."), to, level=messages.WARNING)
        noted(request, [Schedule(id=name)], CHANGE, _("Paused: %s") % why if why else _("Paused."))
        return self.done(request, _("%s makes no tasks until it is resumed.") % visible(name), to)

    def resume_view(self, request: HttpRequest, name: str) -> HttpResponse:
        to = self.url("changelist")
        if request.method != "POST":
            return HttpResponseRedirect(to)
        if not timetable.resume(name):
            return self.done(request, _("It was not paused."), to, level=messages.WARNING)
        noted(request, [Schedule(id=name)], CHANGE, _("Resumed."))
        return self.done(request, _("%s makes tasks again, from its next tick on.") % visible(name), to)

    def _row(self, each: Planned, now_ms: int) -> dict[str, Any]:
        paused = each.paused
        place = (each.backend, each.queue)
        return {
            "name": visible(each.name),
            "rule": each.rule,
            "task": visible(each.task),
            "queue": visible(each.queue),
            "queue_url": self.url("queue", *place, model="queue") if each.queue else "",
            "catch_up": each.catch_up,
            "last": _tick(each.last_ms),
            "last_span": span(now_ms - each.last_ms),
            "last_url": self.url("change", each.last_task, model="task") if each.last_task else "",
            "last_state": LABELS[State(each.last_state)] if each.last_state else "",
            "is_bad": each.last_state == State.DEAD,
            "next": "" if paused else _tick(each.next_ms),
            "next_span": span(each.next_ms - now_ms),
            "overdue": span(each.overdue_ms) if each.overdue_ms > OVERDUE_MS and not paused else "",
            "problem": visible(each.problem),
            "paused": None
            if paused is None
            else {"by": visible(paused.by), "why": visible(paused.why), "since": at(paused.since_ms)},
            "urls": {name: self.url(name, each.name) for name in ("run", "pause", "resume")},
        }


def _tick(ms: int) -> SafeString | str:
    """Ticks are whole seconds, but for those of the shortest intervals."""
    if not ms:
        return ""
    time = datetime.fromtimestamp(ms / 1000, UTC)
    return timestamp(time, clock(time, now=timezone.now()).removesuffix(".000"))
