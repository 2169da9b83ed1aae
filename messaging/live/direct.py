"""A server's ``send`` -> its transport, for bytes that are framed once for a thousand streams.

``send`` frames and copies each chunk anew for each client, in a coroutine. uvicorn with httptools sends a body of
unknown length as it stands in RFC 9112, section 7.1, so its bytes can be made once and go to its transport, under its
own flow control. Everything else of the response is sent as ever. With any other server there is no short way.
"""

from __future__ import annotations

from typing import Any

_UVICORN = "uvicorn.protocols.http.httptools_impl"


class Direct:
    """The short way to one client."""

    __slots__ = ("_cycle",)

    def __init__(self, cycle: Any) -> None:
        self._cycle = cycle

    @classmethod
    def of(cls, send: Any) -> Direct | None:
        """For a response that has begun; ``None`` where the server, or its way to frame, is another one."""
        cycle = getattr(send, "__self__", None)
        if type(cycle).__module__ != _UVICORN or getattr(cycle, "chunked_encoding", None) is not True:
            return None
        if not (hasattr(cycle, "disconnected") and hasattr(getattr(cycle, "flow", None), "write_paused")):
            return None
        return cls(cycle)

    @property
    def lost(self) -> bool:
        """Has the client gone?"""
        return bool(self._cycle.disconnected)

    async def drain(self) -> None:
        """Until it is free, or the client has gone."""
        await self._cycle.flow.drain()

    def write(self, framed: bytes) -> bool:
        """``chunked`` bytes, unless ``send`` would have to wait now; were they taken?"""
        cycle = self._cycle
        if cycle.flow.write_paused or cycle.disconnected:
            return False
        cycle.transport.write(framed)
        return True


def chunked(parts: list[bytes], size: int) -> bytes:
    """One chunk of a body: its size in hexadecimal, a line end, the bytes, a line end."""
    return b"".join((b"%x\r\n" % size, *parts, b"\r\n"))
