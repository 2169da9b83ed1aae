"""The tasks of a queue -> a list by state, a page for each, and what can be done with one."""

from __future__ import annotations

from itertools import islice
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE, DELETION
from django.contrib.admin.utils import unquote
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.translation import gettext as _

from messaging.admin import attempts, editing
from messaging.admin.asked import SCANNED_WHOLE
from messaging.admin.consoles import ConsoleAdmin, Crumb, at, noted, titled, who
from messaging.admin.queues import LABELS
from messaging.admin.samples import sample
from messaging.errors import InvalidCall, TaskUnknown, TaskUnreadable
from messaging.quantities import span
from messaging.rendering import visible
from messaging.tableless import Task
from messaging.taskqueue import standing
from messaging.taskqueue.editing import requeue
from messaging.taskqueue.job import MAX_ID, Job, State
from messaging.taskqueue.queue import Queue as TaskQueue
from messaging.taskqueue.scanning import Scan
from messaging.taskqueue.worker.backends import backend_of

PER_PAGE = 50
LAST_PAGE = 200  # the list is by position: to go further would read ever more


@admin.register(Task)
class TaskAdmin(ConsoleAdmin):
    """Tasks by queue and state; what was enqueued is not edited."""

    viewing, managing = "view_task", "manage_task"

    def get_urls(self) -> list[URLPattern]:
        actions = {
            "cancel": self.cancel_view,
            "run": self.run_view,
            "retry": self.retry_view,
            "discard": self.discard_view,
            "edit": self.edit_view,
        }
        return [
            self.route("", self.list_view, "changelist"),
            *(self.route(f"<str:id>/{name}/", view, name, manage=True) for name, view in actions.items()),
            self.route("<path:id>/change/", self.task_view, "change"),
        ]

    # -- looking

    def list_view(self, request: HttpRequest) -> HttpResponse:
        """A page of one state of one queue: it costs as much as it shows, however many there are. A search looks at
        as many as one of dead letters does; the id of a task leads to its page."""
        text = request.GET.get("q", "").strip()[:500]
        if text and len(text) <= MAX_ID and standing.find(text) is not None:
            return HttpResponseRedirect(self.url("change", text))
        every = standing.all_queues()
        names = titled(every)
        wanted = (request.GET.get("backend", ""), request.GET.get("queue", ""))
        queue = next(
            (each for each in every if (each.alias, each.name) == wanted), every[0] if every else None
        )
        given = request.GET.get("state", "")
        state = State(given) if given in LABELS else State.READY
        if queue is None:
            return self.page(request, "tasks", _("Tasks"), queue=None)
        total: int = getattr(queue.counts(), state)
        last = max(1, min(LAST_PAGE, -(-total // PER_PAGE)))
        asked = request.GET.get("p", "")
        page = min(int(asked[:6]), last) if asked.isdecimal() and int(asked[:6]) else 1
        scan = Scan(queue, state, lambda job: attempts.mentions(job, text), most=SCANNED_WHOLE)
        jobs = [*islice(scan, PER_PAGE + 1)] if text else queue.page(state, (page - 1) * PER_PAGE, PER_PAGE)
        counts = queue.counts()
        place = {"backend": queue.alias, "queue": queue.name}
        searched = {"q": text} if text else {}
        return self.page(
            request,
            "tasks",
            _("Tasks"),
            queue=names[queue.alias, queue.name],
            queue_url=self.url("queue", queue.alias, queue.name, model="queue"),
            state=state,
            label=LABELS[state],
            queues=[
                (
                    names[each.alias, each.name],
                    _query(backend=each.alias, queue=each.name, state=state, **searched),
                    each is queue,
                )
                for each in every
            ],
            states=[
                (LABELS[each], getattr(counts, each), _query(**place, state=each, **searched), each is state)
                for each in LABELS
            ],
            text=text,
            place=place | {"state": state},
            scanned="" if not text or (scan.saw_all and len(jobs) <= PER_PAGE) else f"{scan.looked:,}",
            rows=[self._row(job) for job in jobs[:PER_PAGE]],
            total=f"{total:,}",
            page_number=page,
            pages=last,
            before=_query(**place, state=state, p=page - 1) if page > 1 else "",
            after=_query(**place, state=state, p=page + 1) if page < last else "",
            capped=total > LAST_PAGE * PER_PAGE,
        )

    def task_view(self, request: HttpRequest, id: str) -> HttpResponse:
        found = standing.find(id) or standing.find(unquote(id))  # as the admin's log has it
        if found is None:
            return self.page(request, "gone", _("Task"), crumbs=[Crumb("", "")], status=404, id=visible(id))
        queue, job = found
        name = titled(standing.all_queues())[queue.alias, queue.name]
        state = str(job.state)
        return self.page(
            request,
            "task",
            visible(job.task),
            crumbs=[
                Crumb(
                    f"{name}, {LABELS[job.state]}",
                    self.url("changelist") + _query(backend=queue.alias, queue=queue.name, state=state),
                )
            ],
            job=job,
            queue=name,
            queue_url=self.url("queue", queue.alias, queue.name, model="queue"),
            label=LABELS[job.state],
            actions={
                "cancel": job.state in (State.READY, State.DELAYED)
                or (job.state is State.RUNNING and not job.cancelled_by),
                "run": job.state is State.DELAYED,
                "retry": job.state is State.DEAD,
                "edit": job.state is State.DEAD and editing.initial(job) is not None,
                "discard": job.state is not State.RUNNING,
            },
            urls={name: self.url(name, job.id) for name in ("cancel", "run", "retry", "discard", "edit")},
            **attempts.context(job, queue.counts().now_ms),
        )

    def _row(self, job: Job) -> dict[str, Any]:
        latest = job.attempts[-1] if job.attempts else None
        return {
            "id": job.id,
            "url": self.url("change", job.id),
            "task": visible(job.task),
            **attempts.told(job),
            "enqueued": at(job.enqueued_ms),
            "due": at(job.due_ms) if job.state is State.DELAYED else "",
            "attempt": job.attempt,
            "worker": "" if latest is None else visible(latest.worker),
            "priority": job.priority,
            "took": span(latest.ended_ms - latest.began_ms) if latest and latest.ended_ms else "",
        }

    # -- what can be done

    def _found(self, id: str) -> tuple[TaskQueue, Job]:
        found = standing.find(id)
        if found is None:
            raise Http404(_("There is no such task."))
        return found

    def _did(
        self, request: HttpRequest, id: str, changed: bool, text: str, flag: int = CHANGE
    ) -> HttpResponse:
        to = self.url("change", id)
        if not changed:
            text = _("Nothing was changed: it has gone on meanwhile.")
            return self.done(request, text, to, level=messages.WARNING)
        noted(request, [Task(id=id)], flag, text)
        return self.done(request, text, self.url("changelist") if flag == DELETION else to)

    def run_view(self, request: HttpRequest, id: str) -> HttpResponse:
        queue, job = self._found(id)
        if request.method != "POST":
            return HttpResponseRedirect(self.url("change", id))
        return self._did(request, id, queue.run_now(job.id), _("Made ready before its time."))

    def retry_view(self, request: HttpRequest, id: str) -> HttpResponse:
        queue, job = self._found(id)
        if request.method != "POST":
            return HttpResponseRedirect(self.url("change", id))
        return self._did(
            request, id, queue.retry_dead([job.id], who(request))[0], _("Retried: back in its queue.")
        )

    def edit_view(self, request: HttpRequest, id: str) -> HttpResponse:
        """Other arguments, in a new task; the dead letter stays."""
        queue, job = self._found(id)
        to = self.url("change", id)
        begins = editing.initial(job) if job.state is State.DEAD else None
        if begins is None:
            text = _("It is no dead letter, or its arguments cannot be shown whole.")
            return self.done(request, text, to, level=messages.WARNING)
        form = editing.ArgumentsForm(request.POST if request.method == "POST" else None, initial=begins)
        if form.is_valid():
            try:
                new, is_new = requeue(backend_of(queue.alias), queue, job, **form.cleaned_data)
            except (InvalidCall, TaskUnknown, TaskUnreadable) as error:
                editing.refused(form, error)
            else:
                if not is_new:
                    text = _("Nothing was enqueued: this task holds the unique lock of these arguments.")
                    return self.done(request, text, self.url("change", new), level=messages.WARNING)
                noted(request, [Task(id=id)], CHANGE, _("Enqueued with other arguments: %s") % new)
                noted(request, [Task(id=new)], ADDITION, _("Enqueued from dead letter %s.") % id)
                text = format_html(
                    '{} <a href="{}">{}</a>',
                    _("Enqueued. The dead letter is as it was:"),
                    to,
                    visible(id),
                )
                return self.done(request, text, self.url("change", new))
        title = _("Other arguments")
        crumbs = [Crumb(visible(job.task), to), Crumb(title, "")]
        names = titled(standing.all_queues())
        return self.page(
            request, "edit", title, crumbs=crumbs, form=form, task=visible(job.task),
            queue=names[queue.alias, queue.name], cancel_url=to,
        )  # fmt: skip

    def cancel_view(self, request: HttpRequest, id: str) -> HttpResponse:
        queue, job = self._found(id)
        if request.method == "POST":
            running = job.state is State.RUNNING
            text = _("Cancelled: its worker is told to stop it.") if running else _("Cancelled.")
            return self._did(request, id, queue.cancel(job.id, who(request)), text)
        sentence = (
            _("It runs. Its worker is told to stop it: a coroutine is cancelled, a thread gets an exception.")
            if job.state is State.RUNNING
            else _("It ends without having run, and whoever waits for its result is told so.")
        )
        return self._ask(request, queue, job, _("Cancel"), sentence, _("Cancel the task"))

    def discard_view(self, request: HttpRequest, id: str) -> HttpResponse:
        queue, job = self._found(id)
        if request.method == "POST":
            return self._did(request, id, queue.discard(job.state, [job.id])[0], _("Discarded."), DELETION)
        sentence = _("It is removed for good, with its arguments, errors and result.")
        return self._ask(request, queue, job, _("Discard"), sentence, _("Discard the task"))

    def _ask(
        self, request: HttpRequest, queue: TaskQueue, job: Job, title: str, sentence: str, button: str
    ) -> HttpResponse:
        return self.confirmation(
            request,
            title,
            sentence=sentence,
            count=1,
            **sample(self, request, job.state, [(job, visible(queue.name))]),
            left_out=0,
            fields=[],
            button=button,
            danger=True,
            action_url=request.path,
            cancel_url=self.url("change", job.id),
        )


def _query(**values: Any) -> str:
    return "?" + urlencode(values)
