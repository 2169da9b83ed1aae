"""A connection -> the live stream, or else Django. The one ASGI application of a site.

    application = LiveApplication(get_asgi_application())

It answers the URL named ``messaging:stream`` itself and hands on everything else. A Django view would hold a
thread-sensitive context, a request and maybe a database connection for each open page.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.core.handlers.asgi import ASGIRequest
from django.urls import NoReverseMatch, reverse

from messaging import background
from messaging.conf import conf
from messaging.live import notices, query
from messaging.live.counters import counters
from messaging.live.hub import hub
from messaging.live.stream import Stream
from messaging.live.writing import FORBIDDEN, end, serve, start

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Coroutine[Any, Any, None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]

logger = logging.getLogger("messaging.live")


class LiveApplication:
    """In front of Django: the stream, the lifespan of the hub, and an end of all streams when the server is told to
    stop."""

    def __init__(self, django: Application) -> None:
        self._django = django
        self._path: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._is_stream(scope):
            stream = await self._admitted(scope, send)
            if stream is not None:  # what was needed to decide is gone by now: a stream may last for an hour
                await serve(stream, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await self._django(scope, receive, send)

    def _is_stream(self, scope: Scope) -> bool:
        if self._path is None:
            try:
                self._path = reverse("messaging:stream")
            except NoReverseMatch:
                return False
        path: str = scope["path"]
        return path.endswith(self._path) and path.removeprefix(scope.get("root_path") or "") == self._path

    # -- life -----------------------------------------------------------------------------------------------------

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self._is_stream({"path": ""})  # reads the URLs now rather than with the first request
        ours = hub()
        ours.start()
        background.start_if_asked()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await ours.close()
        await asyncio.to_thread(background.stop)
        await send({"type": "lifespan.shutdown.complete"})

    # -- one stream -----------------------------------------------------------------------------------------------

    async def _admitted(self, scope: Scope, send: Send) -> Stream | None:
        """A stream for those who may have one; ``None`` when the request has been answered otherwise."""
        if scope["method"] != "GET":
            await _refuse(send, 405, "The stream is read with GET.\n", (b"allow", b"GET"))
            return None
        ours = hub()
        try:
            request = ASGIRequest(dict(scope), BytesIO())
            request.get_host()
            asked = query.read(request)
        except (query.BadQuery, SuspiciousOperation) as error:
            await _refuse(send, 400, f"{error}\n")
            return None
        if ours.stopping or len(ours.streams) >= conf.LIVE_MAX_STREAMS:
            await _turn_away(send, "shutdown" if ours.stopping else "overload")
            return None
        session_key = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
        try:
            user = await ours.gate.viewer(session_key)
        except Exception as error:  # the database's: an EventSource gives up for ever on any other status
            logger.warning("a stream is turned away, its permission could not be checked: %s", error)
            await _turn_away(send, "overload")
            return None
        if user is None:
            counters.refused += 1
            await _refuse(send, 403, FORBIDDEN)
            return None
        counters.connected += 1
        return Stream(ours, asked, session_key=session_key)


async def _refuse(send: Send, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
    content = text.encode()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", str(len(content)).encode()),
                (b"cache-control", b"no-store"),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": content})


async def _turn_away(send: Send, reason: str) -> None:
    counters.overloaded += 1
    await send(start())
    await send(end(notices.bye(reason)))
