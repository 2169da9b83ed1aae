"""A step of the queue -> its Lua script with the parts it uses -> the reply, or an exception of our tree.

Scripts share parts (``lua/queue/parts``), which their head names; each is sent to the server as one text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any

import redis
import redis.asyncio as aioredis
from redis.exceptions import AuthenticationError, NoScriptError, RedisError, ResponseError

from messaging import connection, wire
from messaging.errors import BrokerRefused, BrokerUnavailable
from messaging.scripts import Script, bulk

_USES = b"-- uses "
Argument = bytes | str | int | float
Call = Callable[..., Any]  # wire.call: a packed command -> its reply; an error reply is returned, not raised


class QueueScript(Script):
    """One script of ``lua/queue``, behind the parts that its second line asks for."""

    def __init__(self, name: str) -> None:
        super().__init__(f"queue/{name}")
        uses = next(line for line in self.text.splitlines() if line.startswith(_USES))
        folder = files("messaging").joinpath("lua/queue/parts")
        parts = [folder.joinpath(f"{part}.lua").read_bytes() for part in uses[len(_USES) :].decode().split()]
        self.text = b"\n".join([*parts, self.text])
        self.sha = sha1(self.text, usedforsecurity=False).hexdigest().encode()
        self._starts: dict[str, bytes] = {}  # by the first key: of each queue, what is the same in each call

    def run_over(
        self, call: Call, client: redis.Redis, names: Sequence[str], arguments: Sequence[Argument]
    ) -> Any:
        """:meth:`run`, packed by hand for a way that costs less than the client's: what it sends, what it answers."""
        reply = call(self.call_of(names, arguments))
        if isinstance(reply, NoScriptError):
            return client.execute_command("EVAL", self.text, len(names), *names, *arguments)
        return told(reply)

    def call_of(self, names: Sequence[str], arguments: Sequence[Argument]) -> bytes:
        """The call by its digest, ready for the socket."""
        start = self._starts.get(names[0])
        if start is None:
            items = (b"EVALSHA", self.sha, b"%d" % len(names), *(name.encode() for name in names))
            start = self._starts[names[0]] = bulk(*items)
        parts = [b"*%d\r\n" % (3 + len(names) + len(arguments)), start]
        for each in arguments:
            if type(each) is not bytes:
                each = str(each).encode()
            parts.append(b"$%d\r\n%b\r\n" % (len(each), each))
        return b"".join(parts)

    async def arun(self, client: aioredis.Redis, names: Sequence[str], *args: Argument) -> Any:
        """:meth:`run` for the running event loop."""
        try:
            return await client.execute_command("EVALSHA", self.sha, len(names), *names, *args)
        except NoScriptError:
            return await client.execute_command("EVAL", self.text, len(names), *names, *args)


@cache
def script(name: str) -> QueueScript:
    """A script by its name, read once."""
    return QueueScript(name)


def packed(*items: bytes) -> bytes:
    """A command, ready for the socket."""
    return b"*%d\r\n" % len(items) + bulk(*items)


def told(reply: Any) -> Any:
    """A reply; an error reply is raised."""
    if isinstance(reply, Exception):
        raise reply
    return reply


@contextmanager
def translated(what: str) -> Iterator[None]:
    """redis-py's exceptions -> ours; ``what`` says whose queue it was."""
    try:
        yield
    except (AuthenticationError, ResponseError) as error:
        if isinstance(error, AuthenticationError):
            raise BrokerRefused(f"{what}: Redis at {connection.where()}: {error}") from error
        wire.raise_for(error)
        raise
    except (RedisError, OSError) as error:
        said = str(error) or type(error).__name__
        raise BrokerUnavailable(f"{what}: Redis at {connection.where()}: {said}", maybe_sent=True) from error
