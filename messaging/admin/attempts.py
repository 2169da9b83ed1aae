"""A job -> what its page shows: its life on a time line, who had it, errors, arguments, result."""

from __future__ import annotations

from typing import Any

import msgspec
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging import redaction
from messaging.admin.consoles import at
from messaging.errors import TaskUnreadable
from messaging.quantities import size, span
from messaging.rendering import decoded, laid_out, preview, visible
from messaging.taskqueue.headlines import headline, why
from messaging.taskqueue.job import Attempt, Job, State
from messaging.taskqueue.payloads import Body, decode_body

SHOWN = 30  # attempts on the time line, the newest
BAR = 1000  # units that the time line is wide
ARGUMENTS = 120  # characters in a list
TINTED = 4000

OUTCOMES = {
    "": gettext_lazy("runs"),
    "succeeded": gettext_lazy("succeeded"),
    "retried": gettext_lazy("failed, tried again"),
    "failed": gettext_lazy("failed for good"),
    "released": gettext_lazy("handed back"),
    "lost": gettext_lazy("its worker was lost"),
    "cancelled": gettext_lazy("cancelled"),
}


def context(job: Job, now_ms: int) -> dict[str, Any]:
    """For ``queue/task.html``."""
    end = job.finished_ms or now_ms
    start = min(job.enqueued_ms or end, end)
    shown = job.attempts[-SHOWN:]
    begins = start if len(shown) == len(job.attempts) else shown[0].began_ms
    return {
        **told(job),
        "bar": BAR,
        "timeline": [
            _bar(each, number, begins, end)
            for number, each in enumerate(shown, start=len(job.attempts) - len(shown) + 1)
        ],
        "earlier": len(job.attempts) - len(shown),
        "wait": span(shown[0].began_ms - max(start, begins)) if shown else "",
        "errors": [
            {
                "class": visible(each["class"]),
                "traceback": visible(each["traceback"]),
                "at": at(each["at"]),
                "open": number == 0,
            }
            for number, each in enumerate(reversed(job.errors))
        ],
        "call": _arguments(job),
        "arguments_size": size(len(job.body)),
        "result": None if job.result is None else _coloured(decoded(job.result)),
        "facts": [(label, value) for label, value in _facts(job) if value],
    }


def sentence(job: Job) -> str:
    """Where it stands, and why."""
    if job.state is State.DEAD:
        return f"{job.cause}: {job.reason}" if job.reason != job.cause else job.reason
    if job.state is State.CANCELLED:
        return _("cancelled by %s") % job.reason
    if job.state is State.RUNNING and job.cancelled_by:
        return _("to be stopped, wanted by %s") % job.cancelled_by
    if job.state is State.READY and job.parked:
        waits = {
            "limit": (_("no room under its limit"), job.limit_key),
            "rate": (_("waits for its turn by its rate"), job.rate_key),
        }
        return ": ".join(waits.get(job.parked, (_("behind another one of its key"), job.order_key)))
    if job.state is State.DELAYED and job.errors:
        return _("failed, is tried again")
    if job.retried_by and job.state is State.READY:
        return _("retried by %s") % job.retried_by
    return ""


def told(job: Job) -> dict[str, str]:
    """What a list says of a whole job: why it failed, where it stands, what it was called with."""
    error = headline(job) if job.state in (State.DEAD, State.DELAYED) else ""
    return {
        "error": visible(error),
        "said": visible(
            why(job) if error and job.state is State.DEAD else sentence(job)
        ),  # a class once is enough
        "arguments": brief(job),
    }


def brief(job: Job) -> str:
    """Its arguments on one line, cut."""
    try:
        text = visible(_line(job))
    except TaskUnreadable:
        return preview(decoded(job.body[:1000]), False, limit=ARGUMENTS)
    return text if len(text) <= ARGUMENTS else text[: ARGUMENTS - 1] + "…"


def mentions(job: Job, text: str) -> bool:
    """Is it in the task's name, the id or the arguments, in any case? What is redacted cannot be guessed by it."""
    try:
        line = _line(job)
    except TaskUnreadable:
        line = "" if redaction.is_on() else decoded(job.body)
    return any(text.lower() in each.lower() for each in (job.task, job.id, line))


def _line(job: Job) -> str:
    args, kwargs = _shown(decode_body(job.body))
    return ", ".join(
        [_json(each) for each in args] + [f"{name}={_json(each)}" for name, each in kwargs.items()]
    )


def _shown(body: Body) -> tuple[list[Any], dict[str, Any]]:
    if not redaction.is_on():
        return body.args, body.kwargs
    kwargs = redaction.argument(body.kwargs)
    return [redaction.argument(each) for each in body.args], kwargs if isinstance(kwargs, dict) else {
        "*": kwargs
    }


def shown_whole(body: Body) -> bool:
    """Whether nothing of its arguments is redacted."""
    return _shown(body) == (body.args, body.kwargs)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _bar(each: Attempt, number: int, start: int, end: int) -> dict[str, Any]:
    whole = max(1, end - start)
    left = max(0, each.began_ms - start) * BAR // whole
    until = each.ended_ms or end
    took = max(0, until - each.began_ms)
    return {
        "number": number,
        "worker": visible(each.worker),
        "began": at(each.began_ms),
        "took": span(took),
        "outcome": each.outcome or "running",
        "label": OUTCOMES.get(each.outcome, each.outcome),
        "left": min(left, BAR - 4),
        "width": max(4, min(took * BAR // whole, BAR - left)),
    }


def _arguments(job: Job) -> list[tuple[str, str]]:
    try:
        body = decode_body(job.body)
    except TaskUnreadable:
        return [("text", decoded(job.body))]
    args, kwargs = _shown(body)
    call: dict[str, Any] = {"args": args} if args else {}
    call |= kwargs if not args else {"kwargs": kwargs} if kwargs else {}
    return _coloured(_json(call) if call else "{}")


def _coloured(text: str) -> list[tuple[str, str]]:
    tokens = laid_out(text)
    return tokens if len(tokens) <= TINTED else [("text", "".join(part for _, part in tokens))]


def _facts(job: Job) -> list[tuple[str, Any]]:
    tries = f"{job.tries} / {job.max_attempts}" if job.max_attempts else str(job.tries)
    return [
        (_("Id"), visible(job.id)),
        (_("Priority"), str(job.priority)),
        (_("Enqueued"), at(job.enqueued_ms)),
        (_("Due"), at(job.due_ms)),
        (_("First begun"), at(job.started_ms)),
        (_("Ended"), at(job.finished_ms)),
        (_("Attempts that count, at most"), tries),
        (_("Workers lost with it"), f"{job.crashes} / {job.max_crashes}" if job.crashes else ""),
        (_("Retried by hand by"), visible(job.retried_by)),
        (_("Time limit"), span(job.timeout_ms) if job.timeout_ms else ""),
        (_("To be begun by"), at(job.expires_ms)),
        (_("Order key"), visible(job.order_key)),
        (_("Limit"), visible(f"{job.limit} ({job.limit_key})") if job.limit_key else ""),
        (_("Rate"), visible(_rate(job)) if job.rate_key else ""),
        (_("Unique lock"), visible(job.unique)),
    ]


def _rate(job: Job) -> str:
    text = _("one each %s") % span(job.rate_us / 1000)
    burst = _(", up to %s at once") % job.burst if job.burst > 1 else ""
    return f"{text}{burst} ({job.rate_key})"
