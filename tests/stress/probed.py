"""The site's application, and ``/probe``: what this process holds at the moment, as JSON. For tests alone."""

import asyncio
import gc
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

from broker_site.asgi import application as site
from messaging.live.counters import counters
from messaging.live.hub import hub
from messaging.live.limits import limits
from tests.live_sites import resident_kib


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    if scope["type"] != "http" or scope["path"] != "/probe":
        await site(scope, receive, send)
        return
    gc.collect()
    ours = hub()
    found = {
        "pid": os.getpid(),
        "ready": ours.ready,
        "tasks": len(asyncio.all_tasks()) - 1,  # this one
        "files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - a folder of the kernel's
        "streams": len(ours.streams),
        "seats": limits.open + len(limits.users) + len(limits.addresses),
        "feeds": counters.feeds,
        "connected": counters.connected,
        "dropped": counters.dropped,
        "memory": resident_kib(os.getpid()),
    }
    body = json.dumps(found).encode()
    headers = [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
