"""The queues -> their pages: how each stands, charts of the last hours; pause, resume, purge."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, DELETION
from django.contrib.admin.utils import unquote
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from messaging.admin import pending
from messaging.admin.charts import DAY, HEIGHT, HOURS, WIDTH, charts
from messaging.admin.consoles import ConsoleAdmin, Crumb, at, may_view, noted, queue_or_404, titled, url, who
from messaging.admin.samples import sample
from messaging.quantities import size, span
from messaging.rendering import visible
from messaging.tableless import Queue
from messaging.taskqueue import standing
from messaging.taskqueue.job import State
from messaging.taskqueue.queue import Queue as TaskQueue

LABELS = {
    State.READY: gettext_lazy("ready"),
    State.RUNNING: gettext_lazy("running"),
    State.DELAYED: gettext_lazy("delayed"),
    State.DEAD: gettext_lazy("dead"),
    State.SUCCEEDED: gettext_lazy("succeeded"),
    State.CANCELLED: gettext_lazy("cancelled"),
    State.EXPIRED: gettext_lazy("expired"),
}
MOST = 10_000  # tasks that one purge takes: a second or two
WHY = 500  # characters
BATCH = 500


@admin.register(Queue)
class QueueAdmin(ConsoleAdmin):
    """A table of all queues, and a page for each."""

    viewing, managing = "view_queue", "manage_queue"

    def get_urls(self) -> list[URLPattern]:
        one = "<str:backend>/<str:name>/"
        return [
            self.route("", self.list_view, "changelist"),
            self.route("<str:object_id>/change/", self.named_view, "change"),
            self.route(f"{one}pause/", self.pause_view, "pause", manage=True),
            self.route(f"{one}resume/", self.resume_view, "resume", manage=True),
            self.route(f"{one}purge/<str:state>/", self.purge_view, "purge", manage=True),
            self.route(one, self.queue_view, "queue"),
        ]

    def list_view(self, request: HttpRequest) -> HttpResponse:
        every = standing.all_queues()
        names = titled(every)
        found = standing.look(every)
        rows = [self._row(each, names[each.backend, each.queue]) for each in found]
        wrong = [
            self._problem(request, problem, names)
            for each in found
            for problem in standing.problems(each, standing.MAX_WAIT)
        ]
        outbox = pending.summary() if request.user.has_perm("messaging.view_pendingtask") else None
        return self.page(request, "queues", _("Queues"), rows=rows, problems=wrong, outbox=outbox)

    def queue_view(self, request: HttpRequest, backend: str, name: str) -> HttpResponse:
        queue = queue_or_404(backend, name)
        (stand,) = standing.look([queue])
        hours = next((each for each in HOURS if request.GET.get("hours") == str(each)), HOURS[0])
        counts = stand.counts
        periods = queue.stats(hours * 60) if hours <= DAY else queue.hourly(hours)
        drawn = charts(periods, counts.ready + counts.running + counts.delayed)
        title = titled(standing.all_queues())[backend, name]
        return self.page(
            request,
            "queue",
            title,
            crumbs=[Crumb(title, "")],
            row=self._row(stand, title),
            problems=[
                self._problem(request, each, {(backend, name): title})
                for each in standing.problems(stand, standing.MAX_WAIT)
            ],
            states=[
                {
                    "state": state,
                    "label": LABELS[state],
                    "count": getattr(counts, state),
                    "url": self._tasks(backend, name, state),
                    "purge": ""
                    if state is State.RUNNING or not getattr(counts, state)
                    else self.url("purge", backend, name, state),
                }
                for state in LABELS
            ],
            charts=drawn,
            hours=hours,
            all_hours=[(each, _in_words(each)) for each in HOURS],
            width=WIDTH,
            height=HEIGHT,
            keeps=self._keeps(queue, stand),
            why_length=WHY,
        )

    def named_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Where the admin's log leads."""
        for each in standing.all_queues():
            if f"{each.alias}/{each.name}" in (object_id, unquote(object_id)):
                return HttpResponseRedirect(self.url("queue", each.alias, each.name))
        return self.queue_view(request, object_id, "change")  # a queue of that name

    # -- what can be done

    def pause_view(self, request: HttpRequest, backend: str, name: str) -> HttpResponse:
        queue = queue_or_404(backend, name)
        to = self.url("queue", backend, name)
        if request.method != "POST":
            return HttpResponseRedirect(to)
        why = request.POST.get("why", "").strip()[:WHY]
        if not queue.pause(who(request), why):
            return self.done(request, _("It was paused already."), to, level=messages.WARNING)
        noted(request, [_row_of(queue)], CHANGE, _("Paused: %s") % why if why else _("Paused."))
        return self.done(request, _("Paused. What runs runs on; no worker takes more."), to)

    def resume_view(self, request: HttpRequest, backend: str, name: str) -> HttpResponse:
        queue = queue_or_404(backend, name)
        to = self.url("queue", backend, name)
        if request.method != "POST":
            return HttpResponseRedirect(to)
        if not queue.resume(who(request)):
            return self.done(request, _("It was not paused."), to, level=messages.WARNING)
        noted(request, [_row_of(queue)], CHANGE, _("Resumed."))
        return self.done(request, _("Workers take from it again."), to)

    def purge_view(self, request: HttpRequest, backend: str, name: str, state: str) -> HttpResponse:
        """All of one state, after a question; no more than the question named."""
        queue = queue_or_404(backend, name)
        if state not in LABELS or state == State.RUNNING:
            raise Http404
        wanted = State(state)
        there = min(getattr(queue.counts(), state), MOST)
        to = self.url("queue", backend, name)
        asked = request.POST.get("count", "")
        if request.method == "POST" and request.POST.get("post") and asked.isdecimal():
            gone, most = 0, min(int(asked[:9]), MOST)
            while gone < most and (removed := queue.purge(wanted, min(BATCH, most - gone))):
                gone += removed
            text = ngettext("%(count)d task was removed.", "%(count)d tasks were removed.", gone) % {
                "count": gone
            }
            if gone:
                noted(request, [_row_of(queue)], DELETION, _("Purged %s:") % LABELS[wanted] + f" {gone:,}")
            return self.done(request, text, to)
        first = queue.page(wanted, 0, 5)
        sentence = ngettext(
            "The %(count)s %(state)s task of %(queue)s is removed for good, with its result.",
            "The %(count)s %(state)s tasks of %(queue)s are removed for good, with their results.",
            there,
        ) % {"count": f"{there:,}", "state": LABELS[wanted], "queue": visible(name)}
        return self.confirmation(
            request,
            _("Purge"),
            sentence=sentence,
            note=_("At most %s are removed at a time.") % f"{MOST:,}" if there == MOST else "",
            count=there,
            **sample(self, request, wanted, [(job, visible(name)) for job in first]),
            left_out=max(0, there - len(first)),
            fields=[("count", there)],
            button=ngettext("Remove %(count)s %(state)s task", "Remove %(count)s %(state)s tasks", there)
            % {"count": f"{there:,}", "state": LABELS[wanted]},
            danger=True,
            action_url=request.path,
            cancel_url=to,
        )

    # -- what is shown

    def _row(self, each: standing.Standing, title: str) -> dict[str, Any]:
        counts, paused = each.counts, each.paused
        place = (each.backend, each.queue)
        return {
            "title": title,
            "url": self.url("queue", *place),
            "counts": [
                (state, LABELS[state], getattr(counts, state), self._tasks(*place, state))
                for state in (State.READY, State.RUNNING, State.DELAYED, State.DEAD)
            ],
            "waiting": counts.waiting,
            "oldest": span(counts.oldest_ready_ms) if counts.ready else "",
            "is_old": counts.oldest_ready_ms > standing.MAX_WAIT * 1000,
            "entered": f"{each.entered:,.1f}",
            "ended": f"{each.ended:,.1f}",
            "wait": _pair(each.wait_ms),
            "run": _pair(each.run_ms),
            "workers": each.workers,
            "busy": each.busy,
            "slots": each.slots,
            "workers_url": self.url("changelist", model="worker"),
            "paused": None
            if paused is None
            else {"by": visible(paused.by), "why": visible(paused.why), "since": at(paused.since_ms)},
            "pause_url": self.url("pause", *place),
            "resume_url": self.url("resume", *place),
        }

    def _problem(
        self, request: HttpRequest, problem: standing.Problem, names: dict[tuple[str, str], str]
    ) -> dict[str, str]:
        """With a link to where one can do something about it, for those who may go there; else the command."""
        place = (problem.backend, problem.queue)
        state = State.DEAD if problem.kind == "dying" else State.READY
        words = {
            "dying": _("Dead letters of %s"),
            "unattended": _("What waits in %s"),
            "slow": _("What waits in %s"),
            "paused": _("What waits in %s"),
        }
        url = self._tasks(*place, state) if may_view(request, "task") else ""
        return {
            "text": visible(problem.text),
            "url": url,
            "label": words[problem.kind] % names[place],
            "hint": visible(problem.hint) if problem.kind == "unattended" or not url else "",
        }

    def _tasks(self, backend: str, queue: str, state: State) -> str:
        asked = {"backend": backend, "queue": queue}
        if state is State.DEAD:
            return f"{self.url('changelist', model='deadletter')}?{urlencode(asked)}"
        return f"{url(self.admin_site.name, 'task_changelist')}?{urlencode(asked | {'state': state})}"

    def _keeps(self, queue: TaskQueue, each: standing.Standing) -> dict[str, Any]:
        """What is kept, and what was given up: never a silent cap."""
        caps, counts = queue.caps, each.counts
        return {
            "dead": f"{counts.dead:,}",
            "dead_most": f"{caps.dead:,}",
            "dead_size": size(counts.dead_bytes),
            "dead_size_most": size(caps.dead_bytes),
            "dead_days": caps.dead_ms // 86_400_000,
            "dead_dropped": f"{counts.dead_dropped:,}" if counts.dead_dropped else "",
            "ended_size": size(counts.ended_bytes),
            "ended_size_most": size(caps.ended_bytes),
            "ended_dropped": f"{counts.ended_dropped:,}" if counts.ended_dropped else "",
        }


def _row_of(queue: TaskQueue) -> Queue:
    return Queue(id=f"{queue.alias}/{queue.name}")


def _pair(times: standing.Quantiles) -> str:
    half, most, _nearly_all = times
    return "" if half is None or most is None else f"{span(half)} / {span(most)}"


def _in_words(hours: int) -> str:
    if hours <= DAY:
        return f"{hours} h"
    return ngettext("%(count)d day", "%(count)d days", hours // DAY) % {"count": hours // DAY}
