"""Settings -> Redis connections and clients. The only place where they are made.

redis-py's own retries are off everywhere: a command whose reply was lost would be repeated. Every socket has a
timeout. RESP2 is spoken, which costs no round trip to greet. Nothing made before a fork is used after it.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from typing import Any

import redis
import redis.asyncio as aioredis
from django.core.cache import InvalidCacheBackendError
from django_redis import get_redis_connection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.asyncio.sentinel import SentinelConnectionPool as AsyncSentinelConnectionPool
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ReadOnlyError
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from messaging.conf import conf
from messaging.errors import Misconfigured

ELSEWHERE_SECONDS = 2.0  # that another server than the broker's may take to answer
_PASSWORD = re.compile(r"([?&]password=)[^&]*")
_TARGET_KEYS = ("host", "port", "path", "db", "username", "password", "credential_provider")

_pools: dict[tuple[str, float | None], ConnectionPool] = {}
_lock = threading.Lock()


def _target() -> ConnectionPool:
    """The pool that says where Redis is: made from the URL, or django-redis's own for an alias."""
    if alias := conf.CACHE_ALIAS:
        try:
            pool = get_redis_connection(alias).connection_pool
        except InvalidCacheBackendError:
            raise Misconfigured(f"MESSAGING['CACHE_ALIAS']: there is no cache {alias!r} in CACHES") from None
        except NotImplementedError:
            pool = None
        if not isinstance(pool, ConnectionPool):
            raise Misconfigured(
                f"MESSAGING['CACHE_ALIAS']: {alias!r} is not a django-redis cache of one server"
            )
        return pool
    try:
        return ConnectionPool.from_url(conf.URL)
    except ValueError as error:
        raise Misconfigured(f"MESSAGING['URL'] is not a Redis URL: {safe_url(conf.URL)!r}: {error}") from None


def safe_url(url: str) -> str:
    """A URL fit for logs: without its password."""
    scheme, separator, rest = url.partition("://")
    credentials, at, host = rest.rpartition("@")
    user = credentials.partition(":")[0]
    host = _PASSWORD.sub(r"\1***", host)
    return f"{scheme}{separator}{user}{':***' if credentials else ''}{at}{host}"


def where() -> str:
    """Where Redis is, fit for a sentence in a log."""
    return f"cache {conf.CACHE_ALIAS!r}" if conf.CACHE_ALIAS else safe_url(conf.URL)


def _where_kwargs(pool: ConnectionPool) -> dict[str, Any]:
    """The part of a pool's arguments that says where and as whom, without its time-outs and retries."""
    given = pool.connection_kwargs
    keep = {key: value for key, value in given.items() if key in _TARGET_KEYS or key.startswith("ssl_")}
    return keep | {"protocol": 2, "driver_info": None}


def pool(*, timeout: float | None) -> ConnectionPool:
    """A pool of connections whose every read and write ends after ``timeout`` seconds; one per process and time-out."""
    where_now = conf.CACHE_ALIAS or conf.URL
    found = _pools.get((where_now, timeout))
    if found is None:
        with _lock:
            found = _pools.get((where_now, timeout))
            if found is None:
                found = _pools[where_now, timeout] = _new_pool(timeout)
    return found


def _new_pool(timeout: float | None) -> ConnectionPool:
    target = _target()
    kwargs = _where_kwargs(target) | {
        "socket_timeout": timeout,
        "socket_connect_timeout": conf.PUBLISH_BUDGET,
        "retry": Retry(NoBackoff(), 0),
        "max_connections": sys.maxsize,  # a pool stops for ever once it has made 100; wire.py gives none back
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    if isinstance(target, SentinelConnectionPool):
        return SentinelConnectionPool(target.service_name, target.sentinel_manager, **kwargs)
    if not issubclass(target.connection_class, UnixDomainSocketConnection):
        kwargs["socket_keepalive"] = True
    return ConnectionPool(connection_class=target.connection_class, **kwargs)


def client(*, timeout: float = 5.0) -> redis.Redis:
    """A synchronous client, safe to share between threads. ``timeout`` must exceed any BLOCK that is asked of it."""
    return redis.Redis(connection_pool=pool(timeout=timeout))


def at(url: str) -> redis.Redis:
    """A client of another server, such as a cache's; the caller closes it. ``ValueError`` for what is no Redis URL."""
    return redis.Redis.from_url(
        url,
        protocol=2,
        socket_timeout=ELSEWHERE_SECONDS,
        socket_connect_timeout=ELSEWHERE_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def async_client(*, timeout: float = 5.0) -> aioredis.Redis:
    """A new asynchronous client for the running event loop; the caller closes it."""
    target = _target()
    kwargs = _where_kwargs(target) | {
        "socket_timeout": timeout,
        "socket_connect_timeout": conf.PUBLISH_BUDGET,
        "retry": AsyncRetry(NoBackoff(), 0),
    }
    if isinstance(target, SentinelConnectionPool):
        sentinels = [client.connection_pool.connection_kwargs for client in target.sentinel_manager.sentinels]
        manager = AsyncSentinel(
            [(at["host"], at["port"]) for at in sentinels],
            sentinel_kwargs=target.sentinel_manager.sentinel_kwargs,
        )
        return aioredis.Redis(
            connection_pool=AsyncSentinelConnectionPool(target.service_name, manager, **kwargs)
        )
    connection_class: type[aioredis.connection.AbstractConnection] = aioredis.Connection
    if issubclass(target.connection_class, UnixDomainSocketConnection):
        connection_class = aioredis.UnixDomainSocketConnection
    elif issubclass(target.connection_class, SSLConnection):
        connection_class = aioredis.SSLConnection
    return aioredis.Redis(
        connection_pool=aioredis.ConnectionPool(connection_class=connection_class, **kwargs)
    )


def heed(error: BaseException) -> None:
    """If an error says that the server is a replica now (READONLY), leave it: where our address leads may be another
    one by now, and a connection that stays open would never find out. Idle connections are closed, those in use when
    they are given back."""
    if any(isinstance(each, ReadOnlyError) for each in (error, error.__cause__, error.__context__)):
        with _lock:
            known = list(_pools.values())
        for each in known:
            each.disconnect_free_connections()
            each.update_active_connections_for_reconnect()


def reset() -> None:
    """Forget every pool of this process; tests that move to another server call this, and every fork does."""
    with _lock:
        old = list(_pools.values())
        _pools.clear()
    for each in old:
        each.disconnect()


def _after_fork() -> None:
    """The parent's sockets are not ours: drop them unclosed, since closing would only tell the parent's server."""
    global _lock
    _lock = threading.Lock()
    _pools.clear()


os.register_at_fork(after_in_child=_after_fork)
