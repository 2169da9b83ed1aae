"""Dead letters of all queues -> a page: filtered, grouped by error; ticked ones or all retried or discarded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.parse import quote, unquote, urlencode

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, DELETION
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from messaging.admin import attempts
from messaging.admin.asked import Asked, place_of
from messaging.admin.consoles import ConsoleAdmin, at, noted, titled, who
from messaging.admin.quotes import kind, quotes, whole
from messaging.admin.samples import sample
from messaging.rendering import visible
from messaging.tableless import DeadLetter, Task
from messaging.taskqueue import standing
from messaging.taskqueue.dead import Action, Letter, act, grouped, groups
from messaging.taskqueue.job import State
from messaging.taskqueue.queue import Queue as TaskQueue

PER_PAGE = 50
LAST_PAGE = 100
MOST = 10_000  # that one action takes: a second or two
GROUPS = 20
SAMPLE = 5
QUOTED = 500  # of the newest, among which a group finds one that speaks for it


@admin.register(DeadLetter)
class DeadLetterAdmin(ConsoleAdmin):
    """Tasks that failed for good."""

    viewing, managing = "view_task", "manage_task"

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("", self.list_view, "changelist"),
            self.route("act/<str:action>/", self.act_view, "act", manage=True),
        ]

    def list_view(self, request: HttpRequest) -> HttpResponse:
        every = standing.all_queues()
        names = titled(every)
        asked = Asked(request.GET, every)
        given = request.GET.get("p", "")
        page = min(int(given[:4]), LAST_PAGE) if given.isdecimal() and int(given[:4]) else 1
        search = asked.search()
        if asked.problems:
            matching, found_groups = [], []
        elif asked.filter.is_grouped:
            found_groups = groups(asked.queues, asked.filter)
            matching = list(islice(search, max(page * PER_PAGE, QUOTED)))
        else:
            matching = list(search)
            found_groups = grouped(matching)
        letters = matching[(page - 1) * PER_PAGE : page * PER_PAGE]
        total = sum(group.count for _, group in found_groups)
        pages = max(1, min(LAST_PAGE, -(-total // PER_PAGE)))
        standings = [each.counts() for each in asked.queues]
        said = quotes(matching, {kind(*each) for each in found_groups[:GROUPS]})
        return self.page(
            request,
            "dead",
            _("Dead letters"),
            places=[
                (place_of(each), names[each.alias, each.name], place_of(each) == asked.values["place"])
                for each in every
            ],
            values=asked.values,
            problems=asked.problems,
            filtered=bool(asked.given),
            total=total,
            groups=[
                self._group(queue, group, names, asked) | {"error": said.get(kind(queue, group), "")}
                for queue, group in found_groups[:GROUPS]
            ],
            groups_left=max(0, len(found_groups) - GROUPS),
            rows=[self._row(letter, names) for letter in whole(letters)],
            scanned=f"{search.looked:,}" if search.back_to_ms else "",
            scanned_to=at(search.back_to_ms or 0),
            dropped=sum(each.dead_dropped for each in standings),
            page_number=page,
            pages=pages,
            before="?" + urlencode(asked.given | {"p": page - 1}) if page > 1 else "",
            after="?" + urlencode(asked.given | {"p": page + 1}) if page < pages else "",
            carried=[(name, value) for name, value in asked.given.items()],
            retry_url=self.url("act", "retry"),
            discard_url=self.url("act", "discard"),
            query=urlencode(asked.given),
        )

    def act_view(self, request: HttpRequest, action: str) -> HttpResponse:
        """All that the filter lets through, or the ticked ones: a question, and then it is done. The form carries the
        filter itself, and the time of the question: what dies later is not among them."""
        to = self.url("changelist")
        if action not in ("retry", "discard"):
            return HttpResponseRedirect(to)
        data = request.POST if request.method == "POST" else request.GET
        every = standing.all_queues()
        asked = Asked(data, every)
        to = f"{to}?{urlencode(asked.given)}" if asked.given else to
        if asked.problems:
            return self.done(request, " ".join(asked.problems.values()), to, level=messages.ERROR)
        ticked = data.getlist("chosen")[: PER_PAGE * 2]
        if not ticked and data.get("all") != "1":
            text = _("Tick those that it is about, or take all that match.")
            return self.done(request, text, to, level=messages.WARNING)
        if request.method == "POST" and data.get("post"):
            chosen = self._ticked(ticked, every) if ticked else list(islice(asked.search(), MOST))
            return self._act(request, "retry" if action == "retry" else "discard", chosen, to)
        return self._ask(request, action, asked, ticked, every, to)

    def _ask(
        self,
        request: HttpRequest,
        action: str,
        asked: Asked,
        ticked: list[str],
        every: Sequence[TaskQueue],
        to: str,
    ) -> HttpResponse:
        names = titled(every)
        until = int(datetime.now(UTC).timestamp() * 1000) if not every else every[0].counts().now_ms
        search = asked.search()
        letters = self._ticked(ticked, every) if ticked else list(islice(search, MOST))
        count = len(letters)
        if action == "retry":
            sentence = ngettext(
                "%(count)s dead letter goes back to its queue, with fresh attempts and its history.",
                "%(count)s dead letters go back to their queues, with fresh attempts and their history.",
                count,
            )
            button = ngettext("Retry it", "Retry %(count)s dead letters", count)
        else:
            sentence = ngettext(
                "%(count)s dead letter is removed for good, with its arguments and errors.",
                "%(count)s dead letters are removed for good, with their arguments and errors.",
                count,
            )
            button = ngettext("Discard it", "Discard %(count)s dead letters", count)
        numbers = {"count": f"{count:,}"}
        more = count == MOST or (not ticked and search.back_to_ms is not None)
        return self.confirmation(
            request,
            _("Retry") if action == "retry" else _("Discard"),
            sentence=sentence % numbers,
            note=_(
                "There may be more: this many are taken at a time. For all: manage.py messaging dead %s --all."
            )
            % action
            if more
            else "",
            filtered="" if ticked or not asked.given else ", ".join(self._words(asked)),
            count=count,
            **sample(
                self,
                request,
                State.DEAD,
                [(each.job, names[each.queue.alias, each.queue.name]) for each in whole(letters[:SAMPLE])],
            ),
            left_out=max(0, count - SAMPLE),
            fields=[
                *asked.fixed.items(),
                ("until", str(until)),
                *((("all", "1"),) if not ticked else (("chosen", each) for each in ticked)),
            ],
            button=button % numbers,
            danger=action == "discard",
            action_url=request.path,
            cancel_url=to,
        )

    def _act(self, request: HttpRequest, action: Action, chosen: list[Letter], to: str) -> HttpResponse:
        changed: list[Letter] = []
        left: list[Letter] = []
        try:
            for letter, done in act(action, chosen, who(request)):
                (changed if done else left).append(letter)
        finally:  # if Redis goes away on the way, what was done stands in the log all the same
            rows = [Task(id=letter.job.id) for letter in changed]
            if action == "retry":
                noted(request, rows, CHANGE, _("Retried: back in its queue."))
            else:
                noted(request, rows, DELETION, _("Discarded."))
        count = len(changed)
        if action == "retry":
            text = ngettext("%d is back in its queue.", "%d are back in their queues.", count) % count
        else:
            text = ngettext("%d was discarded.", "%d were discarded.", count) % count
        if locked := sum(letter.is_dead for letter in left):
            text_locked = ngettext(
                "%d stays: a task of the same unique key is in its queue.",
                "%d stay: tasks of the same unique keys are in their queues.",
                locked,
            )
            self.message_user(request, text_locked % locked, messages.WARNING)
        if gone := len(left) - locked:
            text_gone = ngettext("%d was no dead letter any more.", "%d were no dead letters any more.", gone)
            self.message_user(request, text_gone % gone, messages.WARNING)
        return self.done(request, text, to, level=messages.SUCCESS if count else messages.WARNING)

    def _ticked(self, ticked: list[str], every: Sequence[TaskQueue]) -> list[Letter]:
        """``backend/queue/id`` each; those that are no dead letters any more are left out."""
        by_place = {place_of(each): each for each in every}
        found = []
        for each in ticked:
            place, _slash, name = each.rpartition("/")
            queue = by_place.get(place)
            job = None if queue is None else queue.get(unquote(name))
            if queue is not None and job is not None and job.state is State.DEAD:
                found.append(Letter(job.finished_ms, queue, job))
        return found

    # -- what is shown

    def _row(self, letter: Letter, names: dict[tuple[str, str], str]) -> dict[str, Any]:
        job = letter.job
        return {
            "chosen": f"{place_of(letter.queue)}/{quote(job.id, safe='')}",
            "url": self.url("change", job.id, model="task"),
            "task": visible(job.task),
            "queue": names[letter.queue.alias, letter.queue.name],
            **attempts.told(job),
            "died": at(letter.at_ms),
            "attempts": job.attempt,
            "owner": visible(job.owner),
        }

    def _group(
        self, queue: Any, group: Any, names: dict[tuple[str, str], str], asked: Asked
    ) -> dict[str, Any]:
        exact = asked.given | {"place": place_of(queue), "task": f"={group.task}", "error": f"={group.cause}"}
        query = urlencode(exact)
        return {
            "count": group.count,
            "task": visible(group.task),
            "cause": visible(group.cause),
            "queue": names[queue.alias, queue.name],
            "url": f"?{query}",
            "retry_url": f"{self.url('act', 'retry')}?{query}&all=1",
            "discard_url": f"{self.url('act', 'discard')}?{query}&all=1",
        }

    def _words(self, asked: Asked) -> list[str]:
        words = {
            "place": _("queue"),
            "task": _("task"),
            "error": _("error"),
            "text": _("text"),
            "since": _("since"),
        }
        return [f"{words[name]} {visible(unquote(value))}" for name, value in asked.given.items()]
