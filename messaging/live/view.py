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
from django.core.handlers.asgi import ASGIRequest
from django.db import DatabaseError, InterfaceError, connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_GET
from redis.exceptions import RedisError

from messaging import connection, frames, keys, log
from messaging.conf import conf
from messaging.frames import Place, Where
from messaging.live import history, notices, query
from messaging.live.access import may_view
from messaging.live.hub import hub
from messaging.live.stream import Stream
from messaging.live.writing import FORBIDDEN, HEADERS

BLOCK_SECONDS = 5.0
AWAY = (RedisError, OSError, DatabaseError, InterfaceError)


@require_GET
def stream(request: HttpRequest) -> HttpResponseBase:
    """``GET /messages/stream``: Server-Sent Events, in the same format and by the same rules as under ASGI."""
    try:
        asked = query.read(request)
    except query.BadQuery as error:
        return HttpResponse(f"{error}\n", status=400, content_type="text/plain; charset=utf-8")
    if not may_view(request.user):
        return HttpResponse(FORBIDDEN, status=403, content_type="text/plain; charset=utf-8")
    chunks: Iterator[bytes] | AsyncGenerator[bytes, None]
    if isinstance(request, ASGIRequest):
        chunks = _shared(asked, request.session.session_key or "")
    else:
        chunks = _alone(asked)
    _let_go_of_database()
    return StreamingHttpResponse(chunks, headers=HEADERS)


async def _shared(asked: query.Query, session_key: str) -> AsyncGenerator[bytes, None]:
    """One more client of the hub."""
    given: asyncio.Queue[dict[str, bytes] | None] = asyncio.Queue(1)
    stream = Stream(hub(), asked, session_key=session_key)

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


def _alone(asked: query.Query) -> Iterator[bytes]:
    """A reader of its own: waits for news with ``XREAD BLOCK``, then reads the page behind its place."""
    _let_go_of_database()  # the session's middleware may have saved meanwhile
    client = connection.client(timeout=BLOCK_SECONDS + 5)
    started = wrote = time.monotonic()
    until = started + conf.LIVE_MAX_AGE_SECONDS * notices.spread(0.8, 1.0)
    since: Where = ()
    live = False
    while (now := time.monotonic()) < until:
        chunks: list[bytes] = []
        try:
            if not since:
                chunks, since = _beginning(client, asked)
            if live:
                _wait_for_news(client, since, min(BLOCK_SECONDS, conf.LIVE_HEARTBEAT_SECONDS))
            page = history.after(client, since, asked.filter)
            _let_go_of_database()
            if page.gap is not None:
                chunks.append(notices.gap(page.gap))
            chunks += (chunk for chunk, _ in notices.joined(page.items))
            if page.where == since and not live:
                live = True
                chunks.append(notices.live(since))
            since = page.where
        except AWAY:
            _let_go_of_database()
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
        items = history.before(client, where, asked.filter, count=asked.last)
    else:
        where, items = since, []
    hello = notices.hello(where, asked.filter, retention=history.retention(client), resumed=since is not None)
    return [hello, *(chunk for chunk, _ in notices.joined(items))], where


def _wait_for_news(client: redis.Redis, since: Where, seconds: float) -> None:
    """Until one of the partitions has something behind its place, at most so long."""
    streams = {keys.log(at): f"{place.ms}-{place.seq}" for at, place in enumerate(since)}
    client.execute_command(
        "XREAD", "COUNT", 1, "BLOCK", int(seconds * 1000), "STREAMS", *streams, *streams.values()
    )
