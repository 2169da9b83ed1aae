"""A request -> the live stream as a plain Django view, where :mod:`messaging.live.asgi` is not in front.

Under WSGI and ``runserver`` each open page costs a thread of the server and a Redis connection, and reads the log for
itself: fit for some dozens of pages, not for thousands. Under an ASGI server without ``LiveApplication`` the pages
share the hub, at the cost of Django's ``StreamingHttpResponse``: four times the memory of the ASGI application.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator

import redis
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.db import DatabaseError, InterfaceError, connections
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    StreamingHttpResponse,
)
from redis.exceptions import RedisError

from messaging import connection, frames, keys, log
from messaging.conf import conf
from messaging.frames import Place, Where
from messaging.live import crossing, history, losses, notices, query
from messaging.live.access import Admission, Claim, admit
from messaging.live.counters import counters
from messaging.live.hub import hub
from messaging.live.limits import address_of, limits
from messaging.live.reader import BLOCK_MS, LATE_SECONDS
from messaging.live.stream import Stream
from messaging.live.writing import FORBIDDEN, HEADERS

AWAY = (RedisError, OSError, DatabaseError, InterfaceError)


def stream(request: HttpRequest) -> HttpResponseBase:
    """``GET /messages/stream``: Server-Sent Events, in the same format and by the same rules as under ASGI."""
    crosses = crossing.headers(request)
    if request.method == "OPTIONS" and (allowed := crossing.preflight(request)) is not None:
        return HttpResponse(status=204, headers=allowed)
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET"])
    try:
        asked = query.read(request)
    except query.BadQuery as error:
        return _text(f"{error}\n", 400, crosses)
    address = address_of(request.META.get("REMOTE_ADDR", ""), request.headers.get("X-Forwarded-For", ""))
    if limit := limits.knock(address):
        return StreamingHttpResponse([_overloaded(limit)], headers=HEADERS | crosses)
    session_key = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    claim = Claim.of(asked.filter, session_key=session_key, ticket=asked.ticket)
    admission = None if claim is None else admit(claim)
    if admission is None:
        counters.refused += 1
        return _text(FORBIDDEN, 403, crosses)
    asked = asked._replace(filter=admission.filter)
    chunks: Iterator[bytes] | AsyncGenerator[bytes, None]
    if isinstance(request, ASGIRequest):
        chunks = _shared(asked, admission, address)
    else:
        chunks = _seated(asked, admission, address)
    _let_go_of_database()
    return StreamingHttpResponse(chunks, headers=HEADERS | (crosses if admission.anywhere else {}))


def _text(text: str, status: int, headers: dict[str, str]) -> HttpResponse:
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8", headers=headers)


def _overloaded(limit: str) -> bytes:
    counters.overloaded[limit] += 1
    return notices.bye("overload", limit=limit)


async def _shared(asked: query.Query, admission: Admission, address: str) -> AsyncGenerator[bytes, None]:
    """One more client of the hub."""
    seat = limits.take(admission.user, address)  # not before somebody reads this, who also ends it
    if isinstance(seat, str):
        yield _overloaded(seat)
        return
    counters.connected += 1
    given: asyncio.Queue[dict[str, bytes] | None] = asyncio.Queue(1)
    stream = Stream(hub(), asked, claim=admission.claim, seat=seat)

    async def run() -> None:
        await stream.run(given.put)
        await given.put(None)

    running = asyncio.create_task(run())
    try:
        while (message := await given.get()) is not None:
            yield message["body"]
    finally:
        running.cancel()


def _let_go_of_database() -> None:
    """Open pages keep no connection; a transaction around the view (a test's) is left alone."""
    for each in connections.all(initialized_only=True):
        if not each.in_atomic_block:
            each.close()


def _seated(asked: query.Query, admission: Admission, address: str) -> Iterator[bytes]:
    seat = limits.take(admission.user, address)
    if isinstance(seat, str):
        yield _overloaded(seat)
        return
    counters.connected += 1
    try:
        yield from _alone(asked, admission.claim)
    finally:
        seat.free()


def _alone(asked: query.Query, claim: Claim | None) -> Iterator[bytes]:
    """A reader of its own: waits for news with ``XREAD BLOCK``, then reads the page behind its place."""
    _let_go_of_database()  # the session's middleware may have saved meanwhile
    client = connection.client(timeout=LATE_SECONDS)
    filter_ = asked.filter.blocking()
    started = wrote = checked = heard = time.monotonic()
    until = started + conf.LIVE_MAX_AGE_SECONDS * notices.spread(0.8, 1.0)
    since: Where = ()
    live = is_silent = False
    while (now := time.monotonic()) < until:
        chunks: list[bytes] = []
        try:
            if claim is not None and now - checked >= conf.LIVE_RECHECK_SECONDS:
                checked = now
                if admit(claim, again=True) is None:
                    yield notices.bye("permission")
                    return
            if not since:
                chunks, since = _beginning(client, asked)
            if live:
                _wait_for_news(client, since, min(BLOCK_MS / 1000, conf.LIVE_HEARTBEAT_SECONDS))
            page = history.after(client, since, filter_)
            _let_go_of_database()
            if page.gap is not None:
                chunks.append(notices.gap(page.gap))
            chunks += (chunk for chunk, _ in notices.joined(page.items))
            if page.where == since and not live:
                live = True
                chunks.append(notices.live(since))
            since = page.where
            heard = time.monotonic()
            if is_silent:
                is_silent = False
                chunks.append(notices.source(0.0))
        except AWAY as error:
            _let_go_of_database()
            if live and not is_silent and isinstance(error, RedisError):
                is_silent = True
                chunks.append(notices.source(time.monotonic() - heard))
            else:
                time.sleep(notices.spread(0.5, 1.5))
        if not chunks and now - wrote >= conf.LIVE_HEARTBEAT_SECONDS:
            chunks.append(frames.BEAT)
        if chunks:
            wrote = now
            yield b"".join(chunks)
    yield notices.bye("age")


def _beginning(client: redis.Redis, asked: query.Query) -> tuple[list[bytes], Where]:
    """``hello`` and the history, and the place behind it."""
    since = asked.since
    if since is None:
        bounds = [log.bounds(client, partition) for partition in log.partitions()]
        where: Where = tuple(Place(each.epoch, *each.last) for each in bounds)
        items = history.before(client, where, asked.filter.blocking(), count=asked.last)
    else:
        where, items = since, []
    retention = history.retention(client)
    if items:
        items = losses.among(items, losses.stored(), count=asked.last, retained_ms=retention["oldest"])
    hello = notices.hello(where, asked.filter, retention=retention, resumed=since is not None)
    return [hello, *(chunk for chunk, _ in notices.joined(items))], where


def _wait_for_news(client: redis.Redis, since: Where, seconds: float) -> None:
    """Until one of the partitions has something behind its place, at most so long."""
    streams = {keys.log(at): f"{place.ms}-{place.seq}" for at, place in enumerate(since)}
    client.execute_command(
        "XREAD", "COUNT", 1, "BLOCK", int(seconds * 1000), "STREAMS", *streams, *streams.values()
    )
