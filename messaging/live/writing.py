"""A stream -> an ASGI response, and word of a client that has left or takes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

from messaging.conf import conf
from messaging.live.direct import Direct
from messaging.live.stream import Stream

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",  # a proxy that compresses would also buffer
    "X-Accel-Buffering": "no",  # nginx
    "X-Content-Type-Options": "nosniff",
}
CLOSING = {"Connection": "close"}
FORBIDDEN = (
    "These channels are for users who are logged in and may hear all of them (by default those with the permission "
    "messaging.view_message), and for the bearers of a fresh ticket.\n"
)

Send = Callable[[MutableMapping[str, Any]], Coroutine[Any, Any, None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


def start(headers: dict[str, str], *, status: int = 200) -> dict[str, Any]:
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": encoded}


def end(chunk: bytes = b"") -> dict[str, Any]:
    return {"type": "http.response.body", "body": chunk, "more_body": False}


async def serve(
    stream: Stream, headers: dict[str, str], receive: Receive, send: Send, *, one_to_one: bool = True
) -> None:
    """Write the stream until it or its client ends; ``headers`` are added to those of every stream. ``one_to_one``: the
    connection is for this stream alone, as before HTTP/2, and ends with it."""
    watching = asyncio.create_task(_watch(stream, receive))
    transport = getattr(getattr(send, "__self__", None), "transport", None)  # uvicorn shows it
    stream.abort = _cutter(transport, asyncio.current_task())
    stream.inline = transport is not None
    try:
        await send(start(HEADERS | CLOSING | headers if one_to_one else HEADERS | headers))
        stream.direct = Direct.of(send)
        await stream.run(send)
        if not stream.gone:
            await send(end())
    except OSError:
        pass  # servers that say so when the client has gone
    finally:
        stream.hub.leave(stream)
        watching.cancel()
        if one_to_one and transport is not None:
            _see_off(transport, 1.0 if stream.hub.stopping else conf.LIVE_SEND_SECONDS)


def _see_off(transport: Any, seconds: float) -> None:
    """The stream has ended, its last bytes may still be here: for a client that does not take them the server would
    keep the connection for ever, and wait for it when it stops."""
    unsent: Callable[[], int] | None = getattr(transport, "get_write_buffer_size", None)
    if unsent is not None and unsent():
        asyncio.get_running_loop().call_later(seconds, transport.abort)


async def _watch(stream: Stream, receive: Receive) -> None:
    """Notice at once that the client has left."""
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    except OSError:
        pass
    finally:
        stream.leave()


def _cutter(transport: Any, task: asyncio.Task[Any] | None) -> Callable[[], object]:
    """What ends a connection whose client does not read. ASGI knows no such thing, and closing in good order would
    wait for the client: so the server's transport is asked, where the server shows it; else the task is cancelled."""
    abort: Callable[[], object] | None = getattr(transport, "abort", None)
    return abort or (task.cancel if task is not None else _nothing)


def _nothing() -> None:
    pass
