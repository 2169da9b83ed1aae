"""A packed command -> its reply, within the publish budget. Sync and async, over connections kept for it.

redis-py's client object costs more than a whole publish; its ``Connection`` does not. Both ways keep idle connections
on a stack: the one used last is the least likely to have gone stale.
"""

from __future__ import annotations

import asyncio
import os
import select
import time
from collections import deque
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

import redis.asyncio as aioredis
from redis.connection import ConnectionPool
from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from messaging import connection
from messaging.breaker import Breaker
from messaging.conf import conf
from messaging.errors import BrokerError, BrokerFull, BrokerRefused, BrokerUnavailable

_PASSING = ("BUSY", "NOREPLICAS", "MISCONF")  # error replies of a server that will recover

breaker = Breaker()

_Held = tuple[ConnectionPool, Any, Any]  # whose it is, the connection, and the poll object that watches it

_idle: deque[_Held] = deque(maxlen=200)
_async_idle: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[aioredis.Redis, deque[Any]]] = (
    WeakKeyDictionary()
)


def call(packed: bytes) -> Any:
    """Send one packed command, return its reply (an error reply is returned, not raised).

    Raises :class:`BrokerUnavailable` after at most ``PUBLISH_BUDGET`` seconds; a name that has to be resolved by a
    slow resolver is the one wait that no time-out bounds.
    """
    breaker.check()
    deadline = time.monotonic() + (budget := conf.PUBLISH_BUDGET)
    sent = False
    held = None
    try:
        held = _checkout(budget)
        conn = held[1]
        conn.send_packed_command((packed,), check_health=False)
        sent = True
        left = deadline - time.monotonic()
        try:
            if left < budget / 2:  # most of it went into connecting and sending
                reply = conn.read_response(timeout=max(left, 0.001))
            else:
                reply = conn.read_response()
        except ResponseError as error:
            reply = error
    except (RedisError, OSError) as error:
        if held is not None:
            held[1].disconnect()
        breaker.failed(error)
        raise BrokerUnavailable(f"Redis at {connection.where()}: {error}", maybe_sent=sent) from error
    except BaseException:
        if held is not None:
            held[1].disconnect()  # a reply may still come: nobody must read it as theirs
        raise
    _idle.append(held)
    breaker.succeeded()
    return reply


def _checkout(budget: float) -> _Held:
    """An idle connection that is still whole, or a new one."""
    pool = connection.pool(timeout=budget)
    while True:
        try:
            held = _idle.pop()
        except IndexError:
            break
        if held[0] is pool and not held[2].poll(
            0
        ):  # nothing may be there to read, an end of file least of all
            return held
        if held[1].pid == os.getpid():
            held[1].disconnect()
    conn: Any = pool.make_connection()
    conn.connect()
    poller = select.poll()
    poller.register(conn._sock, select.POLLIN)
    return pool, conn, poller


async def acall(packed: bytes) -> Any:
    """:func:`call` for the running event loop."""
    breaker.check()
    sent = False
    conn = None
    try:
        async with asyncio.timeout(conf.PUBLISH_BUDGET):
            client, idle = _of_this_loop()
            conn = idle.pop() if idle else client.connection_pool.make_connection()
            if conn.is_connected and await conn.can_read():
                await conn.disconnect(nowait=True)
            if not conn.is_connected:
                await conn.connect()
            await conn.send_packed_command(packed, check_health=False)
            sent = True
            try:
                reply = await conn.read_response()
            except ResponseError as error:
                reply = error
    except (RedisError, OSError, TimeoutError) as error:
        await _drop(conn)
        breaker.failed(error)
        said = str(error) or f"no answer within {conf.PUBLISH_BUDGET} s"
        raise BrokerUnavailable(f"Redis at {connection.where()}: {said}", maybe_sent=sent) from error
    except BaseException:
        await _drop(conn)
        raise
    idle.append(conn)
    breaker.succeeded()
    return reply


async def _drop(conn: Any) -> None:
    if conn is not None:
        with suppress(Exception):
            await conn.disconnect(nowait=True)


def _of_this_loop() -> tuple[aioredis.Redis, deque[Any]]:
    """The running loop's connections; those of loops that are closed go with them."""
    loop = asyncio.get_running_loop()
    for other in [each for each in _async_idle if each.is_closed()]:
        _, idle = _async_idle.pop(other)
        for conn in idle:
            conn._close()
    found = _async_idle.get(loop)
    if found is None:
        client = connection.async_client(timeout=conf.PUBLISH_BUDGET)
        found = _async_idle[loop] = (client, deque(maxlen=200))
    return found


def raise_for(reply: object) -> None:
    """An error reply -> the exception of our tree that says what it means for the caller."""
    if not isinstance(reply, ResponseError):
        return
    text = str(reply)
    kind: type[BrokerError] = BrokerRefused
    if isinstance(reply, OutOfMemoryError) or text.startswith("FULL"):
        kind = BrokerFull
    elif isinstance(reply, (MasterDownError, ClusterDownError, TryAgainError)) or text.startswith(_PASSING):
        kind = BrokerUnavailable
    raise kind(f"Redis at {connection.where()}: {text}") from reply


def reset() -> None:
    """Close idle connections and the breaker (tests; another server)."""
    global breaker
    breaker = Breaker()
    while _idle:
        _idle.pop()[1].disconnect()
    _async_idle.clear()


def _after_fork() -> None:
    global breaker
    _idle.clear()
    _async_idle.clear()
    breaker = Breaker()


os.register_at_fork(after_in_child=_after_fork)
