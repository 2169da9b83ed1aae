"""Jobs -> rows of a confirmation: a few of those that something is about to be done with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from messaging.admin import attempts
from messaging.admin.consoles import ConsoleAdmin, at, may_view
from messaging.rendering import visible
from messaging.taskqueue.job import Job, State

OPEN = (State.READY, State.RUNNING, State.DELAYED)


def sample(
    page: ConsoleAdmin, request: HttpRequest, state: State, jobs: Iterable[tuple[Job, str]]
) -> dict[str, Any]:
    """``jobs`` are of one ``state``, each with what its queue is called. What a task was called with, and what became
    of it, is for those who may view tasks; the others get names and times."""
    shown = may_view(request, "task")
    return {
        "sample": [
            {
                "task": visible(job.task),
                "queue": queue,
                "time": at(job.enqueued_ms if state in OPEN else job.finished_ms),
                "url": page.url("change", job.id, model="task") if shown else "",
                **(attempts.told(job) if shown else {}),
            }
            for job, queue in jobs
        ],
        "sample_whole": shown,
        "time_label": _("Enqueued") if state in OPEN else _("Ended"),
    }
