"""A hub in this process -> a stream of it that is read as fast as it comes."""

import asyncio
from collections.abc import Callable
from typing import Any

from messaging.live.filters import Filter
from messaging.live.hub import Hub
from messaging.live.query import Query
from messaging.live.stream import Stream
from tests.sse import Sse, parse


async def soon(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - any condition, and nobody who would set an event
            await asyncio.sleep(0.005)


class HubClient:
    """``events`` is what came, ``payloads`` the data of messages."""

    def __init__(self, hub: Hub, *channels: str, last: int = 0) -> None:
        self.chunks: list[bytes] = []
        self.stream = Stream(hub, Query(Filter.of(channels), last, None))
        self.task = asyncio.create_task(self.stream.run(self._send))

    async def _send(self, message: dict[str, bytes]) -> None:
        self.chunks.append(message["body"])

    @property
    def events(self) -> list[Sse]:
        return parse(b"".join(self.chunks))

    @property
    def payloads(self) -> list[Any]:
        return [event.data["event"]["data"] for event in self.events if event.name == "message"]

    async def live(self) -> "HubClient":
        """Wait until it has caught up."""
        await soon(lambda: any(event.name == "live" for event in self.events))
        return self
