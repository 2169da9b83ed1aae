"""A request of a page on another host -> the headers that let that page read the answer (CORS).

For pages of ``LIVE_ORIGINS``, and for streams that a ticket or a public channel has opened: never for one that a
cookie has opened. Browsers are not told to send cookies along.
"""

from __future__ import annotations

from django.http import HttpRequest

from messaging.conf import conf


def headers(request: HttpRequest) -> dict[str, str]:
    """For an answer that pages of those origins may read."""
    if not conf.LIVE_ORIGINS:
        return {}
    origin = request.headers.get("Origin", "")
    if "*" in conf.LIVE_ORIGINS:
        return {"Access-Control-Allow-Origin": "*"}
    if origin in conf.LIVE_ORIGINS:
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    return {"Vary": "Origin"}


def preflight(request: HttpRequest) -> dict[str, str] | None:
    """For OPTIONS, which a browser asks before a script may send ``Last-Event-ID`` itself; ``None`` without origins."""
    if not conf.LIVE_ORIGINS:
        return None
    return headers(request) | {
        "Access-Control-Allow-Methods": "GET",
        "Access-Control-Allow-Headers": "Last-Event-ID, Cache-Control",
        "Access-Control-Max-Age": "600",
    }
