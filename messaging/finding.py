"""A request of the live page -> where in the log to start, or all that its filters let through as a file."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET
from redis.exceptions import RedisError

from messaging import connection, exporter, places, redaction
from messaging.live import query
from messaging.live.access import may_hear
from messaging.live.filters import Filter
from messaging.live.rights import Rights, decider
from messaging.live.threads import Threads
from messaging.search import compile_search
from messaging.views import NOT_HEARD, VIEW, needs

logger = logging.getLogger("messaging.live")

MOST_BEFORE = 500
MOST_SEARCH = 2000  # characters
AWAY = (RedisError, OSError, DatabaseError, InterfaceError)

_KINDS = {
    "ndjson": (exporter.ndjson, "application/x-ndjson"),
    "csv": (exporter.csv_lines, "text/csv; charset=utf-8"),
}
_threads = Threads("export")


@never_cache
@require_GET
@needs(VIEW)
def place(request: HttpRequest) -> JsonResponse:
    """``?ms=`` (a moment) or ``?at=`` (a message), ``channel=`` as for the stream, ``before=`` so many messages ->
    ``{"position", "oldest"}``: from where to open the stream. Rights are those of a stream: see ``admit``."""
    try:
        asked = query.read(request)
        before = _number(request, "before", 40, most=MOST_BEFORE)
        ms = _number(request, "ms", 0, most=2**53)
    except query.BadQuery as error:
        return JsonResponse({"error": str(error)}, status=400)
    client = connection.client(timeout=2.0)
    try:
        filter_ = _heard(request.user, asked.filter)
        if location := request.GET.get("at"):
            found = places.at_message(client, location, filter_, before=before)
        else:
            found = places.at_moment(client, ms, filter_, before=before)
    except places.Unheard:
        return JsonResponse({"error": NOT_HEARD}, status=403)
    except places.Elsewhere as error:
        return JsonResponse({"error": str(error)}, status=404)
    except AWAY as error:
        return JsonResponse({"error": f"The log cannot be read: {error}"}, status=503)
    return JsonResponse({"position": found.position, "oldest": found.first})


@never_cache
@require_GET
@needs(VIEW)
def export(request: HttpRequest) -> HttpResponseBase:
    """``?form=ndjson|csv``, ``channel=`` and ``q=`` as on the page, ``since=`` and ``until=`` in ms -> a file.

    The newest message comes first. The file ends with a line that says so where it was cut.
    """
    try:
        asked = query.read(request)
        since = _number(request, "since", 0, most=2**53)
        until = _number(request, "until", -1, most=2**53)
    except query.BadQuery as error:
        return HttpResponse(f"{error}\n", status=400, content_type="text/plain; charset=utf-8")
    form = request.GET.get("form", "ndjson")
    text = request.GET.get("q", "")
    if form not in _KINDS or len(text) > MOST_SEARCH:
        wrong = f"form is ndjson or csv, and q has at most {MOST_SEARCH:,} characters\n"
        return HttpResponse(wrong, status=400, content_type="text/plain; charset=utf-8")
    make, content_type = _KINDS[form]
    wanted = exporter.Export(
        asked.filter,
        compile_search(text),
        since=since,
        until=None if until < 0 else until,
        may_hear=lru_cache(maxsize=10_000)(partial(may_hear, request.user)),
        user=request.user,
        sees_all=redaction.may_see_all(request.user),
    )
    logger.info("%s exports messages as %s", request.user, form)
    lines = make(connection.client(timeout=5.0), wanted)
    content: Any = _on_a_thread(lines) if isinstance(request, ASGIRequest) else lines
    name = f"messages-{datetime.now(UTC):%Y%m%d-%H%M%S}.{form}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "X-Content-Type-Options": "nosniff",
        "X-Accel-Buffering": "no",
    }
    return StreamingHttpResponse(content, content_type=content_type, headers=headers)


async def _on_a_thread(lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Chunk by chunk: no thread and no database connection is held while the client takes its time."""
    while (chunk := await _threads.run(lambda: next(lines, None))) is not None:
        yield chunk


def _heard(user: Any, filter_: Filter) -> Filter:
    """Of the filter what this user may hear; :class:`~messaging.places.Unheard` for a name that is not."""
    decide = decider()
    if decide is None:
        return filter_
    rights = Rights(user, decide)
    if not all(map(rights.ask, filter_.names)):
        raise places.Unheard
    return filter_.within(rights).blocking()


def _number(request: HttpRequest, name: str, default: int, *, most: int) -> int:
    text = request.GET.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 16 and int(text) <= most):
        raise query.BadQuery(f"{name} is a number from 0 to {most:,}, not {text[:50]!r}")
    return int(text)
