"""Nothing but fakeredis -> a broker inside this process, where log, queues and outbox work as in production."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.resources import files
from itertools import count
from typing import Any
from unittest import mock

import redis
import redis.asyncio as aioredis
from django.conf import settings
from django.test import override_settings

from messaging import connection, wire

_numbers = count(1)
_LIBRARIES = files("messaging").joinpath("testing/libraries.lua").read_bytes()
_ALIAS = "messaging-memory"


@contextmanager
def memory_broker(**more: Any) -> Iterator[redis.Redis]:
    """An empty broker for the time of a ``with`` block; gives a client of it. ``more`` are settings of MESSAGING.

    Needs ``fakeredis[lua]``. It imitates Redis: tests of what happens when Redis fails need a real one.
    """
    host = f"memory-{next(_numbers)}"
    caches = settings.CACHES | {
        _ALIAS: {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": f"redis://{host}:6379/0",
            "OPTIONS": {"CONNECTION_POOL_KWARGS": {"connection_class": _connection_class()}},
        }
    }
    given = getattr(settings, "MESSAGING", {}) | {"CACHE_ALIAS": _ALIAS} | more
    with (
        override_settings(CACHES=caches, MESSAGING=given),
        mock.patch.object(connection, "async_client", partial(_async_client, host)),
    ):
        _reset()
        try:
            yield connection.client()
        finally:
            _reset()


def _reset() -> None:
    wire.reset()
    connection.reset()


def _connection_class() -> type[Any]:
    """fakeredis's connection."""
    from fakeredis import FakeRedisConnection  # what only tests have installed

    class MemoryConnection(FakeRedisConnection):
        def send_command(self, *args: Any, **kwargs: Any) -> None:
            send: Any = super().send_command
            send(*_complete(args), **kwargs)

    return MemoryConnection


def _async_client(host: str, *, timeout: float = 5.0) -> aioredis.Redis:
    """A client of the same server for the running event loop."""
    from fakeredis import FakeAsyncRedisConnection

    class MemoryConnection(FakeAsyncRedisConnection):
        async def send_command(self, *args: Any, **kwargs: Any) -> None:
            await super().send_command(*_complete(args), **kwargs)

    pool = aioredis.ConnectionPool(connection_class=MemoryConnection, host=host, port=6379, db=0, protocol=2)
    return aioredis.Redis(connection_pool=pool)


def _complete(command: tuple[Any, ...]) -> tuple[Any, ...]:
    """A command with the libraries of Redis's Lua that fakeredis lacks and the queue's scripts use."""
    if command and command[0] == "EVAL" and b"cmsgpack" in command[1]:
        return ("EVAL", _LIBRARIES + b"\n" + command[1], *command[2:])
    return command
