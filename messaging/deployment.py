"""Settings -> what is risky once the site is deployed: ``manage.py check --deploy``. Never asks Redis or the database.

The ids stand in :mod:`messaging.checks`, which calls this.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any, NamedTuple

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage
from django.db import connections
from redis.connection import ConnectionPool, SSLConnection

from messaging.conf import conf
from messaging.connection import safe_url

SHORT_TOKEN = 16  # characters


class Target(NamedTuple):
    """Where a URL leads."""

    url: str
    server: tuple[Any, ...]
    db: int
    host: str | None  # None: a Unix socket
    encrypted: bool
    password: bool


def target_of(location: object) -> Target | None:
    """A Redis URL, or the list of a cache's (then its first) -> what it says; ``None`` for anything else."""
    if isinstance(location, (list, tuple)) and location:
        location = location[0]
    if not isinstance(location, str) or "://" not in location:
        return None
    try:
        pool = ConnectionPool.from_url(location)
        given = pool.connection_kwargs
        db = int(given.get("db") or 0)
    except ValueError:
        return None
    host = None if given.get("path") else str(given.get("host") or "localhost")
    return Target(
        url=safe_url(location),
        server=(given.get("path"), given.get("host"), given.get("port", 6379)),
        db=db,
        host=host,
        encrypted=issubclass(pool.connection_class, SSLConnection),
        password=bool(given.get("password")),
    )


def broker_target() -> Target | None:
    """Where the broker is, by its URL or its cache; ``None`` if that cannot be told."""
    if not conf.CACHE_ALIAS:
        return target_of(conf.URL)
    cache = getattr(settings, "CACHES", {}).get(conf.CACHE_ALIAS, {})
    target = target_of(cache.get("LOCATION"))
    if target is not None and (cache.get("OPTIONS") or {}).get("PASSWORD"):
        target = target._replace(password=True)
    return target


def deployment() -> Iterator[CheckMessage]:
    """All of them."""
    if (target := broker_target()) is not None:
        yield from _shared(target)
        yield from _exposed(target)
    if settings.DEBUG:
        yield checks.Warning(
            "DEBUG is on: Django keeps the statements of the listener and of every worker, with their data",
            hint="Turn DEBUG off. It also shows settings and local variables to whoever causes an error.",
            id="messaging.W005",
        )
    if 0 < len(conf.METRICS_TOKEN) < SHORT_TOKEN:
        yield checks.Warning(
            f"MESSAGING['METRICS_TOKEN'] has {len(conf.METRICS_TOKEN)} characters",
            hint="Whoever guesses it reads /metrics. `openssl rand -hex 32` makes a good one.",
            id="messaging.W007",
        )
    yield from _database()


def _shared(target: Target) -> Iterator[CheckMessage]:
    if target.db and not conf.CHANNEL_PREFIX:
        where = f"CACHES[{conf.CACHE_ALIAS!r}]" if conf.CACHE_ALIAS else "MESSAGING['URL']"
        yield checks.Warning(
            f"{where} uses Redis database {target.db}, but Pub/Sub ignores database numbers",
            hint="Set MESSAGING['CHANNEL_PREFIX'], so that another site on this server does not hear your messages.",
            id="messaging.W002",
        )


def _exposed(target: Target) -> Iterator[CheckMessage]:
    if target.host is None or _is_this_machine(target.host):
        return
    if not target.encrypted:
        yield checks.Warning(
            f"messages and the password travel to Redis unencrypted: {target.url}",
            hint="Use rediss://, a tunnel, or a network that nobody else is on; then silence this check.",
            id="messaging.W003",
        )
    if not target.password:
        yield checks.Warning(
            f"Redis is reached over the network without a password: {target.url}",
            hint="Whoever reaches it reads, writes and deletes all messages. Set a user and a password (ACL).",
            id="messaging.W004",
        )


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _database() -> Iterator[CheckMessage]:
    if conf.DATABASE not in connections:
        return  # messaging.E003
    database = connections[conf.DATABASE]
    if database.vendor == "sqlite":
        mode = str(database.settings_dict.get("OPTIONS", {}).get("transaction_mode") or "").upper()
        if mode not in ("IMMEDIATE", "EXCLUSIVE"):
            yield checks.Warning(
                f"SQLite database {conf.DATABASE!r} begins its transactions without the write lock",
                hint='One that reads and then writes fails with "database is locked" when the listener stores '
                f'meanwhile. DATABASES[{conf.DATABASE!r}][\'OPTIONS\']: "transaction_mode": "IMMEDIATE".',
                id="messaging.W008",
            )
    if conf.DATABASE != "default":
        yield checks.Warning(
            f"messages are stored in database {conf.DATABASE!r}: they are no part of a transaction of 'default'",
            hint=f"publish() waits for a commit only inside transaction.atomic(using={conf.DATABASE!r}). "
            "Where that is meant, silence this check.",
            id="messaging.W009",
        )
