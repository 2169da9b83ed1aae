"""A packed command -> its reply, within the publish budget. Sync and async, over connections kept for it.

redis-py's client object costs more than a whole publish; its ``Connection`` does not. Both ways keep idle connections
on a stack: the one used last is the least likely to have gone stale.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import redis.asyncio as aioredis
from redis.connection import Connection
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from messaging import connection
from messaging.breaker import Breaker
from messaging.conf import conf
from messaging.errors import BrokerError, BrokerFull, BrokerRefused, BrokerUnavailable

_PASSING = ("BUSY", "NOREPLICAS", "MISCONF")  # error replies of a server that will recover
_IDLE = 200  # connections kept

breaker = Breaker()

_Held = tuple[Any, Connection, Callable[[], Any]]  # its pool, a connection, and whether it stirs (see _stirs)
_idle: deque[_Held] = deque(maxlen=_IDLE)


class _LoopConnections(NamedTuple):
    """What one event loop has: a pool that makes connections, the idle ones, and what closes them when it ends."""

    client: aioredis.Redis
    idle: deque[Any]
    closer: AsyncGenerator[None]


_of_loop: dict[asyncio.AbstractEventLoop, _LoopConnections] = {}
_of_parent: list[dict[asyncio.AbstractEventLoop, _LoopConnections]] = []
_lock = threading.Lock()


def call(packed: bytes, *, meanwhile: Callable[[], object] | None = None) -> Any:
    """Send one packed command, return its reply (an error reply is returned, not raised). What is to be done
    ``meanwhile``, of short and known length, is done while Redis works.

    Raises :class:`BrokerUnavailable` after at most ``PUBLISH_BUDGET`` seconds; a name that has to be resolved by a
    slow resolver is the one wait that no time-out bounds. :class:`BrokerRefused` if Redis does not let us in.
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
        if meanwhile is not None:
            meanwhile()
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
        raise _given_up(error, sent=sent) from error
    except BaseException:
        if held is not None:
            held[1].disconnect()  # a reply may still come: nobody must read it as theirs
        raise
    _idle.append(held)
    if isinstance(
        reply, ReadOnlyError
    ):  # a master that was demoted: whoever connects now looks for the new one
        _disconnect_idle()
    breaker.succeeded()
    return reply


def _disconnect_idle() -> None:
    while True:
        try:
            _idle.pop()[1].disconnect()
        except IndexError:
            return


def _checkout(budget: float) -> _Held:
    """An idle connection that is still whole, or a new one."""
    pool = connection.pool(timeout=budget)
    while True:
        try:
            held = _idle.pop()
        except IndexError:
            break
        if held[0] is pool and not held[2]():
            return held
        if held[1].pid == os.getpid():
            held[1].disconnect()
    conn: Any = pool.make_connection()
    conn.connect()
    return pool, conn, _stirs(conn)


def _stirs(conn: Any) -> Callable[[], Any]:
    """What tells whether an idle connection has something to read: nothing may be there, an end of file least of all.

    Asked before each publish, so it is the bare system call; redis-py's own way takes ten times as long.
    """
    if not isinstance(conn._sock, socket.socket):
        return conn.can_read  # type: ignore[no-any-return]  # no socket: fakeredis
    poller = select.poll()
    poller.register(conn._sock, select.POLLIN)
    return partial(poller.poll, 0)


async def acall(packed: bytes) -> Any:
    """:func:`call` for the running event loop."""
    breaker.check()
    sent = False
    conn = None
    try:
        async with asyncio.timeout(conf.PUBLISH_BUDGET):
            client, idle, _ = await _of_this_loop()
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
        raise _given_up(error, sent=sent) from error
    except BaseException:
        await _drop(conn)
        raise
    idle.append(conn)
    while isinstance(reply, ReadOnlyError) and idle:
        await _drop(idle.pop())
    breaker.succeeded()
    return reply


async def _drop(conn: Any) -> None:
    if conn is not None:
        with suppress(Exception):
            await conn.disconnect(nowait=True)


async def _of_this_loop() -> _LoopConnections:
    """The running loop's connections. They end with it: a loop closes its asynchronous generators before itself."""
    loop = asyncio.get_running_loop()
    found = _of_loop.get(loop)
    if found is None:
        idle: deque[Any] = deque(maxlen=_IDLE)
        closer = _closer(loop, idle)
        found = _LoopConnections(connection.async_client(timeout=conf.PUBLISH_BUDGET), idle, closer)
        with _lock:
            for gone in [each for each in _of_loop if each.is_closed()]:  # ended without that courtesy
                del _of_loop[gone]
            _of_loop[loop] = found
        await anext(closer)
    return found


async def _closer(loop: asyncio.AbstractEventLoop, idle: deque[Any]) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        _of_loop.pop(loop, None)
        while idle:
            with suppress(Exception):
                await idle.pop().disconnect()


def _given_up(error: Exception, *, sent: bool) -> BrokerError:
    """What ended a call without a reply -> what the caller gets to know."""
    if isinstance(error, (AuthenticationError, ResponseError)):  # of the greeting: password, database number
        return BrokerRefused(f"Redis at {connection.where()}: {error}")
    breaker.failed(error)
    said = str(error) or f"no answer within {conf.PUBLISH_BUDGET} s"
    maybe_sent = sent and not isinstance(error, BusyLoadingError)  # which is a reply: not done
    return BrokerUnavailable(f"Redis at {connection.where()}: {said}", maybe_sent=maybe_sent)


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
    """Close idle connections and the breaker (tests; another server). Those of event loops close with their loops."""
    global breaker
    breaker = Breaker()
    _disconnect_idle()
    _of_loop.clear()


def _after_fork() -> None:
    """Nothing of the parent's is ours. Its sockets close here without a word to the server; what belongs to its event
    loops is kept for ever, since its end would reach into those loops."""
    global breaker, _lock, _of_loop
    breaker, _lock = Breaker(), threading.Lock()
    _idle.clear()
    _of_parent.append(_of_loop)
    _of_loop = {}


os.register_at_fork(after_in_child=_after_fork)
