"""A step of the queue -> its Lua script with the parts it uses -> the reply, or an exception of our tree.

Scripts share parts (``lua/queue/parts``), which their head names; each is sent to the server as one text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any

import redis.asyncio as aioredis
from redis.exceptions import AuthenticationError, NoScriptError, RedisError, ResponseError

from messaging import connection, wire
from messaging.errors import BrokerRefused, BrokerUnavailable
from messaging.scripts import Script

_USES = b"-- uses "
Argument = bytes | str | int | float


class QueueScript(Script):
    """One script of ``lua/queue``, behind the parts that its second line asks for."""

    def __init__(self, name: str) -> None:
        super().__init__(f"queue/{name}")
        uses = next(line for line in self.text.splitlines() if line.startswith(_USES))
        folder = files("messaging").joinpath("lua/queue/parts")
        parts = [folder.joinpath(f"{part}.lua").read_bytes() for part in uses[len(_USES) :].decode().split()]
        self.text = b"\n".join([*parts, self.text])
        self.sha = sha1(self.text, usedforsecurity=False).hexdigest().encode()

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
