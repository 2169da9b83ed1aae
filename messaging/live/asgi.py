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
from messaging.live import crossing, notices, query
from messaging.live.access import Claim
from messaging.live.counters import counters
from messaging.live.hub import hub
from messaging.live.limits import address_of, limits
from messaging.live.stream import Stream
from messaging.live.writing import FORBIDDEN, HEADERS, end, serve, start

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
            admitted = await self._admitted(scope, send)
            if (
                admitted is not None
            ):  # what was needed to decide is gone by now: a stream may last for an hour
                one_to_one = scope.get("http_version", "").startswith("1")
                await serve(*admitted, receive, send, one_to_one=one_to_one)
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

    async def _admitted(self, scope: Scope, send: Send) -> tuple[Stream, dict[str, str]] | None:
        """A stream for those who may have one, with headers of its own; ``None`` when the request has been answered
        otherwise."""
        request = ASGIRequest(dict(scope), BytesIO())
        crosses = crossing.headers(request)
        if scope["method"] == "OPTIONS" and (allowed := crossing.preflight(request)) is not None:
            await _refuse(send, 204, "", allowed)
            return None
        if scope["method"] != "GET":
            await _refuse(send, 405, "The stream is read with GET.\n", {"Allow": "GET"})
            return None
        ours = hub()
        try:
            request.get_host()
            asked = query.read(request)
        except (query.BadQuery, SuspiciousOperation) as error:
            await _refuse(send, 400, f"{error}\n", crosses)
            return None
        address = address_of(
            (scope.get("client") or ("",))[0] or "", request.headers.get("X-Forwarded-For", "")
        )
        if ours.stopping or (limit := limits.knock(address)):
            await _turn_away(send, crosses, "" if ours.stopping else limit)
            return None
        session_key = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
        claim = Claim.of(asked.filter, session_key=session_key, ticket=asked.ticket)
        try:
            admission = None if claim is None else await ours.gate.admit(claim)
        except Exception as error:  # the database's: an EventSource gives up for ever on any other status
            logger.warning("a stream is turned away, its permission could not be checked: %s", error)
            await _turn_away(send, crosses, "away")
            return None
        if admission is None:
            counters.refused += 1
            await _refuse(send, 403, FORBIDDEN, crosses)
            return None
        seat = limits.take(admission.user, address)
        if isinstance(seat, str):
            await _turn_away(send, crosses, seat)
            return None
        counters.connected += 1
        stream = Stream(ours, asked._replace(filter=admission.filter), claim=admission.claim, seat=seat)
        return stream, crosses if admission.anywhere else {}


async def _refuse(send: Send, status: int, text: str, headers: dict[str, str]) -> None:
    content = text.encode()
    given = {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(content)),
        "Cache-Control": "no-store",
    }
    await send(start(given | headers, status=status))
    await send(end(content))


async def _turn_away(send: Send, headers: dict[str, str], limit: str) -> None:
    """``limit`` is "" for a server that stops."""
    if limit:
        counters.overloaded[limit] += 1
    await send(start(HEADERS | headers))
    await send(end(notices.bye("overload" if limit else "shutdown", limit=limit)))
