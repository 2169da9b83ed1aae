"""Commands -> replies of Redis, handed over in the callback that received them.

redis-py makes the connection (address, login, database, TLS, Sentinel); from then on its socket is read here. Its own
way, through a stream, a time-out and two tasks for each reply, costs 160 microseconds more for each message, which is
half of what a message takes from the publisher to the browser.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from messaging import connection

ANSWER_SECONDS = 5.0  # for what does not block

Command = tuple[Any, ...]  # strings, bytes, numbers
Replies = list[Any]  # an error reply is a ResponseError, returned and not raised


class Link(asyncio.Protocol):
    """One connection. Commands that are sent together are answered together, in their order."""

    def __init__(self) -> None:
        self.heard = 0.0  # when Redis last sent something, by the loop's clock
        self._loop = asyncio.get_running_loop()
        self._parser = hiredis.Reader(replyError=ResponseError)
        self._pending: deque[tuple[int, Callable[[Replies], None], Callable[[Exception], None]]] = deque()
        self._replies: Replies = []
        self._client: Any = None
        self._conn: Any = None
        self._transport: Any = None

    @classmethod
    async def open(cls) -> Link:
        """A new connection; raises what redis-py raises."""
        link = cls()
        link._client = connection.async_client(timeout=ANSWER_SECONDS)
        link._conn = link._client.connection_pool.make_connection()
        try:
            await link._conn.connect()
        except BaseException:
            await link.close()
            raise
        link._transport = link._conn._writer.transport
        link._transport.set_protocol(link)
        link.heard = link._loop.time()
        return link

    def send(
        self,
        commands: Sequence[Command],
        then: Callable[[Replies], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Send; ``then`` gets all replies at once, ``failed`` the reason why there are none."""
        if self._transport.is_closing():
            failed(RedisConnectionError("the connection is closed"))
            return
        self._pending.append((len(commands), then, failed))
        self._transport.write(b"".join(hiredis.pack_command(command) for command in commands))

    async def ask(self, *commands: Command) -> Replies:
        """Send, and wait for the replies."""
        answer: asyncio.Future[Replies] = self._loop.create_future()
        self.send(commands, partial(_settle, answer), partial(_fail, answer))
        async with asyncio.timeout(ANSWER_SECONDS):
            return await answer

    async def close(self) -> None:
        """Close without a word; nobody waits for a reply any more."""
        self._pending.clear()
        with suppress(Exception):  # whatever state the connection is in, nothing is expected of it any more
            await self._conn.disconnect(nowait=True)
        with suppress(Exception):
            await self._client.aclose()

    # -- what the loop calls --------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._parser.feed(data)
        try:
            while (reply := self._parser.gets()) is not False:
                self._replies.append(reply)
                if self._pending and len(self._replies) == self._pending[0][0]:
                    replies, self._replies = self._replies, []
                    self._pending.popleft()[1](replies)
        except hiredis.ProtocolError:
            self._transport.abort()
        self.heard = self._loop.time()

    def connection_lost(self, error: Exception | None) -> None:
        while self._pending:
            self._pending.popleft()[2](error or RedisConnectionError("Redis closed the connection"))


def _settle(answer: asyncio.Future[Replies], replies: Replies) -> None:
    if not answer.done():
        answer.set_result(replies)


def _fail(answer: asyncio.Future[Any], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
