"""The workers' heartbeats -> a page: who works where on what; a worker is asked to drain, or to go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging import connection
from messaging.admin.consoles import ConsoleAdmin, at, noted, who
from messaging.conf import conf
from messaging.quantities import span
from messaging.rendering import visible
from messaging.tableless import Worker
from messaging.taskqueue import draining, standing
from messaging.taskqueue.draining import Asked, Unit, Wish, takes_tasks
from messaging.taskqueue.quantities import WorkerSeen

SHOWN = 500
ASKED = {  # what is asked, and not done yet -> its badge
    "end": gettext_lazy("asked to end"),
    "stay": gettext_lazy("asked to stay"),
    "go on": gettext_lazy("asked to go on"),
}
WORDS = {  # what is asked -> what the page says, and the admin's log
    "end": (gettext_lazy("drains and ends."), gettext_lazy("Asked to drain and end.")),
    "stay": (gettext_lazy("takes no more tasks, and stays."), gettext_lazy("Asked to take no more tasks.")),
    "go on": (gettext_lazy("takes tasks again."), gettext_lazy("Asked to take tasks again.")),
}


@admin.register(Worker)
class WorkerAdmin(ConsoleAdmin):
    """To be looked at, and told to take no more."""

    viewing, managing = "view_queue", "manage_queue"

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("", self.list_view, "changelist"),
            self.route("<str:unit>/ask/", self.ask_view, "ask", manage=True),
        ]

    def list_view(self, request: HttpRequest) -> HttpResponse:
        found, now_ms = standing.fleet(standing.all_queues())
        alive = [each for each in found.values() if standing.is_alive(each, now_ms)]
        units = draining.units({each.id: each for each in alive})
        asked = draining.pending(connection.client(timeout=standing.SECONDS), units.values())
        return self.page(
            request,
            "workers",
            _("Workers"),
            rows=[self._row(each, now_ms, units, asked) for each in [*found.values()][:SHOWN]],
            left_out=max(0, len(found) - SHOWN),
            alive=len(alive),
            busy=sum(standing.number(each.facts, "busy") for each in alive),
            slots=sum(standing.number(each.facts, "slots") for each in alive),
            lease=f"{conf.TASK_LEASE_SECONDS:g}",
        )

    def ask_view(self, request: HttpRequest, unit: str) -> HttpResponse:
        """All processes of one ``manage.py work``."""
        to = self.url("changelist")
        wish = request.POST.get("wish", "")
        if request.method != "POST" or wish not in WORDS:
            return HttpResponseRedirect(to)
        found, now_ms = standing.fleet(standing.all_queues())
        alive = {each.id: each for each in found.values() if standing.is_alive(each, now_ms)}
        asked = draining.units(alive).get(unit)
        if asked is None:
            return self.done(request, _("It is not there any more."), to, level=messages.WARNING)
        client = connection.client(timeout=standing.SECONDS)
        draining.ask(client, asked, Asked(cast("Wish", wish), who(request)))
        said, noting = WORDS[wish]
        noted(request, [Worker(id=unit)], CHANGE, str(noting))
        seconds = f"{conf.TASK_LEASE_SECONDS / 3:.0f}"
        heard = _("It hears so within %s s.") % seconds
        return self.done(request, _("Worker") + f" {visible(unit)} {said} {heard}", to)

    def _row(
        self, worker: WorkerSeen, now_ms: int, units: Mapping[str, Unit], asked: Mapping[str, Asked]
    ) -> dict[str, Any]:
        facts = worker.facts
        unit = units.get(str(facts.get("unit", "")))
        is_alive = standing.is_alive(worker, now_ms)
        is_quiet = not takes_tasks(facts)
        wish = asked[unit.name].wish if unit and unit.name in asked and is_alive else ""
        if wish == "stay" and is_quiet:  # it does so, and is kept to it
            wish = ""
        return {
            "id": visible(worker.id),
            "host": visible(str(facts.get("host", ""))),
            "pid": facts.get("pid", ""),
            "version": visible(f"Python {facts.get('python', '?')}, Django {facts.get('django', '?')}"),
            "state": visible(str(facts.get("state", ""))) if is_alive else _("silent"),
            "is_alive": is_alive,
            "asked": ASKED.get(wish, ""),
            "is_ending": wish == "end",
            "is_quiet": wish == "stay" or (is_quiet and wish != "go on"),
            "ask_url": self.url("ask", unit.name) if unit and is_alive else "",
            "together": len(unit.workers) if unit else 1,
            "heard": span(max(0, now_ms - worker.seen_ms)),
            "since": at(standing.number(facts, "since")),
            "up": span(max(0, now_ms - standing.number(facts, "since"))) if facts.get("since") else "",
            "queues": visible(str(facts.get("queues", ""))),
            "busy": standing.number(facts, "busy"),
            "slots": standing.number(facts, "slots"),
            "begun": f"{standing.number(facts, 'begun'):,}",
            "tasks": [
                {
                    "task": visible(str(each.get("task", ""))),
                    "url": self.url("change", str(each.get("id", "")) or "-", model="task"),
                    "span": span(max(0, now_ms - standing.number(each, "since"))),
                }
                for each in facts.get("tasks", ())
            ],
        }
