"""A backend's alias and a queue's name -> the queue, over this process's connections or the running event loop's.

For producers: within ``PUBLISH_BUDGET``, and behind the same breaker as ``publish()``, so that an outage of Redis does
not hold up requests. Workers make queues of their own, whose connections may block.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple
from weakref import WeakKeyDictionary

import redis.asyncio as aioredis
from redis.connection import ConnectionPool

from messaging import connection, keys, wire
from messaging.conf import conf
from messaging.errors import BrokerUnavailable
from messaging.taskqueue.queue import AsyncQueue, Queue
from messaging.taskqueue.scripting import translated


class _OfLoop(NamedTuple):
    where: tuple[str, str, float]
    client: aioredis.Redis
    closer: AsyncGenerator[None]


_queues: dict[tuple[str, str], tuple[ConnectionPool, Queue]] = {}
_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[float, _OfLoop]] = WeakKeyDictionary()


def queue(alias: str, name: str) -> Queue:
    """The queue of that name; another server, or a fork, makes another pool, and so another queue."""
    pool = connection.pool(timeout=conf.PUBLISH_BUDGET)
    found = _queues.get((alias, name))
    if found is None or found[0] is not pool:
        found = _queues[alias, name] = (
            pool,
            Queue(connection.client(timeout=conf.PUBLISH_BUDGET), alias, name, call=wire.call),
        )
    return found[1]


async def async_queue(alias: str, name: str, *, patience: float = 0.0) -> AsyncQueue:
    """The same for the running loop, its answers awaited ``patience`` seconds longer. Its connections end with the
    loop, which closes its asynchronous generators first."""
    clients = _of_loop.setdefault(asyncio.get_running_loop(), {})
    timeout = conf.PUBLISH_BUDGET + patience
    where = (conf.URL, conf.CACHE_ALIAS, timeout)
    found = clients.get(patience)
    if found is None or found.where != where:
        client = connection.async_client(timeout=timeout)
        found = clients[patience] = _OfLoop(where, client, _closing(client))
        await anext(found.closer)
    return AsyncQueue(found.client, alias, name)


async def _closing(client: aioredis.Redis) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        with suppress(Exception):
            await client.aclose()


def known(alias: str, *, seconds: float | None = None) -> list[str]:
    """Names of the backend's queues that were ever used; ``seconds`` of silence are borne (None: the budget)."""
    with translated(f"queues of {alias!r}"):
        client = connection.client(timeout=conf.PUBLISH_BUDGET if seconds is None else seconds)
        names = client.smembers(keys.queues(alias))
    return [name.decode() for name in names if isinstance(name, bytes)]


async def aknown(alias: str) -> list[str]:
    """:func:`known` for coroutines."""
    client = (await async_queue(alias, "")).client
    with translated(f"queues of {alias!r}"):
        names = await client.smembers(keys.queues(alias))
    return [name.decode() for name in names if isinstance(name, bytes)]


@contextmanager
def breaking() -> Iterator[None]:
    """Nothing is tried while the breaker is open; what happens here is told to it. For what does not go through
    :mod:`messaging.wire`, which does so itself."""
    wire.breaker.check()
    try:
        yield
    except BrokerUnavailable as error:
        wire.breaker.failed(error)
        raise
    wire.breaker.succeeded()
