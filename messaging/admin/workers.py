"""The workers' heartbeats -> a page: who works where on what."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.translation import gettext as _

from messaging.admin.consoles import ConsoleAdmin, at
from messaging.conf import conf
from messaging.quantities import span
from messaging.rendering import visible
from messaging.tableless import Worker
from messaging.taskqueue import standing
from messaging.taskqueue.quantities import WorkerSeen

SHOWN = 500


@admin.register(Worker)
class WorkerAdmin(ConsoleAdmin):
    """To be looked at."""

    viewing, managing = "view_queue", "manage_queue"

    def get_urls(self) -> list[URLPattern]:
        return [self.route("", self.list_view, "changelist")]

    def list_view(self, request: HttpRequest) -> HttpResponse:
        found, now_ms = standing.fleet(standing.all_queues())
        alive = [each for each in found.values() if standing.is_alive(each, now_ms)]
        return self.page(
            request,
            "workers",
            _("Workers"),
            rows=[self._row(each, now_ms) for each in [*found.values()][:SHOWN]],
            left_out=max(0, len(found) - SHOWN),
            alive=len(alive),
            busy=sum(standing.number(each.facts, "busy") for each in alive),
            slots=sum(standing.number(each.facts, "slots") for each in alive),
            lease=f"{conf.TASK_LEASE_SECONDS:g}",
        )

    def _row(self, worker: WorkerSeen, now_ms: int) -> dict[str, Any]:
        facts = worker.facts
        is_alive = standing.is_alive(worker, now_ms)
        return {
            "id": visible(worker.id),
            "host": visible(str(facts.get("host", ""))),
            "pid": facts.get("pid", ""),
            "version": visible(f"Python {facts.get('python', '?')}, Django {facts.get('django', '?')}"),
            "state": visible(str(facts.get("state", ""))) if is_alive else _("silent"),
            "is_alive": is_alive,
            "heard": span(max(0, now_ms - worker.seen_ms)),
            "since": at(standing.number(facts, "since")),
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
