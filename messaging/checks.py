"""Settings -> what is wrong with them: ``manage.py check``. Never asks Redis or the database.

messaging.E001  an unknown key in MESSAGING
messaging.E002  a value of the wrong type
messaging.E003  a value out of its range
messaging.E004  a database that is neither SQLite nor PostgreSQL
messaging.W001  the cache lives in the broker's Redis database: cache.clear() would empty the log
messaging.W002  no CHANNEL_PREFIX on a server shared by its database number (--deploy)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections
from redis.connection import ConnectionPool

from messaging.conf import conf, names
from messaging.connection import safe_url
from messaging.errors import Misconfigured

_POSITIVE = (
    "PARTITIONS",
    "MAX_EVENT_BYTES",
    "PUBLISH_BUDGET",
    "BREAKER_SECONDS",
    "MAX_LOG_ENTRIES",
    "REPLAY_ENTRIES",
    "BATCH_SIZE",
    "LEASE_SECONDS",
    "READER_SILENT_SECONDS",
    "LIVE_RING",
    "LIVE_PAYLOAD_BYTES",
    "LIVE_HEARTBEAT_SECONDS",
    "LIVE_MAX_AGE_SECONDS",
    "LIVE_SEND_SECONDS",
    "LIVE_MAX_STREAMS",
    "LIVE_MAX_PATTERNS",
    "LIVE_RECHECK_SECONDS",
    "LIVE_TICKET_SECONDS",
)


_NOT_NEGATIVE = (
    "PRUNE_DAYS",
    "PRUNE_ROWS",
    "READER_RETIRE_SECONDS",
    "LIVE_MAX_STREAMS_PER_USER",
    "LIVE_MAX_STREAMS_PER_ADDRESS",
    "LIVE_MAX_CONNECTS_PER_SECOND",
)


@register(Tags.compatibility)
def check_settings(app_configs: Sequence[AppConfig] | None = None, **options: Any) -> list[CheckMessage]:
    """All that can be said of the settings as they stand."""
    wrong = list(_keys())
    if not wrong:
        wrong += [*_ranges(), *_database(), *_cache()]
    return wrong


@register(Tags.compatibility, deploy=True)
def check_deployment(app_configs: Sequence[AppConfig] | None = None, **options: Any) -> list[CheckMessage]:
    """What matters only where several sites share a server."""
    if _keys_are_wrong() or conf.CHANNEL_PREFIX or _target(conf.URL)[1] in (None, 0):
        return []
    return [
        checks.Warning(
            f"MESSAGING['URL'] uses Redis database {_target(conf.URL)[1]}, but Pub/Sub ignores database numbers",
            hint="Set MESSAGING['CHANNEL_PREFIX'], so that another site on this server does not hear your messages.",
            id="messaging.W002",
        )
    ]


def _keys() -> Iterator[CheckMessage]:
    known = names()
    for name in getattr(settings, "MESSAGING", {}):
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else "messaging/conf.py lists all keys."
            yield Error(f"MESSAGING has an unknown key: {name!r}", hint=hint, id="messaging.E001")
            continue
        try:
            getattr(conf, name)
        except Misconfigured as error:
            yield Error(str(error), id="messaging.E002")


def _keys_are_wrong() -> bool:
    return next(_keys(), None) is not None


def _ranges() -> Iterator[CheckMessage]:
    for name in _POSITIVE:
        if getattr(conf, name) <= 0:
            yield Error(
                f"MESSAGING[{name!r}] must be above 0, not {getattr(conf, name)!r}", id="messaging.E003"
            )
    for name in _NOT_NEGATIVE:
        if not 0 <= getattr(conf, name) < math.inf:
            yield Error(
                f"MESSAGING[{name!r}] must be 0 (never) or above, not {getattr(conf, name)!r}",
                id="messaging.E003",
            )
    if not conf.NAMESPACE or set(conf.NAMESPACE) & set("{}*?[]\\ "):
        yield Error(
            f"MESSAGING['NAMESPACE'] must be a plain word, not {conf.NAMESPACE!r}",
            hint="It is the first part of every Redis key; braces, white space and glob characters break it.",
            id="messaging.E003",
        )
    if conf.REPLAY_ENTRIES > conf.MAX_LOG_ENTRIES:
        yield Error(
            f"MESSAGING: REPLAY_ENTRIES ({conf.REPLAY_ENTRIES:,}) is above MAX_LOG_ENTRIES ({conf.MAX_LOG_ENTRIES:,})",
            hint="The log would be full before anything is trimmed, and publish() would raise BrokerFull.",
            id="messaging.E003",
        )


def _database() -> Iterator[CheckMessage]:
    if conf.DATABASE not in connections:
        yield Error(f"MESSAGING['DATABASE'] is not in DATABASES: {conf.DATABASE!r}", id="messaging.E003")
    elif (vendor := connections[conf.DATABASE].vendor) not in ("sqlite", "postgresql"):
        yield Error(
            f"database {conf.DATABASE!r} is {vendor}; messages are stored in SQLite or PostgreSQL",
            hint="Point MESSAGING['DATABASE'] at a database of either kind.",
            id="messaging.E004",
        )


def _cache() -> Iterator[CheckMessage]:
    if conf.CACHE_ALIAS:
        broker = _target(settings.CACHES.get(conf.CACHE_ALIAS, {}).get("LOCATION"))
    else:
        broker = _target(conf.URL)
    if broker[0] is None:
        return
    for alias, cache in getattr(settings, "CACHES", {}).items():
        if alias != conf.CACHE_ALIAS and _target(cache.get("LOCATION")) == broker:
            yield checks.Warning(
                f"cache {alias!r} and the broker share a Redis database: {safe_url(cache['LOCATION'])}",
                hint="Give the cache another database number: its clear() is FLUSHDB and would empty the log.",
                id="messaging.W001",
            )


def _target(location: object) -> tuple[tuple[Any, ...] | None, int | None]:
    """A Redis URL -> (server, database number); ``(None, None)`` for anything else."""
    if isinstance(location, (list, tuple)) and location:
        location = location[0]
    if not isinstance(location, str) or "://" not in location:
        return None, None
    try:
        given = ConnectionPool.from_url(location).connection_kwargs
    except ValueError:
        return None, None
    return (given.get("path"), given.get("host"), given.get("port", 6379)), int(given.get("db") or 0)
