"""Settings -> what is wrong with them: ``manage.py check``. Never asks Redis or the database.

messaging.E001  an unknown key in MESSAGING
messaging.E002  a value of the wrong type
messaging.E003  a value out of its range
messaging.E004  a database that is neither SQLite nor PostgreSQL
messaging.E005  a CACHE_ALIAS that is no django-redis cache
messaging.E006  a URL that is no Redis URL
messaging.E007  REDACT_FIELDS or REDACT that name nothing
messaging.E008  LIVE_MAY_HEAR that names no function, LIVE_FILTERS that are no pairs
messaging.E009  ORDERED_CHANNELS with something that no channel matches
messaging.W001  the cache lives in the broker's Redis database: cache.clear() would empty the log
messaging.W006  CACHE_ALIAS is the default cache, which everybody uses and clears

with --deploy (:mod:`messaging.deployment`):

messaging.W002  no CHANNEL_PREFIX on a server shared by its database number
messaging.W003  Redis over the network without encryption
messaging.W004  Redis over the network without a password
messaging.W005  DEBUG is on
messaging.W007  a METRICS_TOKEN that is easily guessed
messaging.W008  SQLite whose transactions begin without the write lock
messaging.W009  a database of its own, so that transactions of the default one do not include messages
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections
from django.utils.module_loading import import_string
from django_redis.cache import RedisCache

from messaging.attributes import check_channel
from messaging.conf import conf, names
from messaging.deployment import broker_target, deployment, target_of
from messaging.errors import InvalidChannel, Misconfigured, shown
from messaging.redaction import BadField, Field

_POSITIVE = (
    "PARTITIONS",
    "MAX_EVENT_BYTES",
    "PUBLISH_BUDGET",
    "BREAKER_SECONDS",
    "BREAKER_MAX_SECONDS",
    "MAX_LOG_ENTRIES",
    "REPLAY_ENTRIES",
    "BATCH_SIZE",
    "LEASE_SECONDS",
    "READER_SILENT_SECONDS",
    "MAX_CAPTURE_BYTES",
    "TASK_LEASE_SECONDS",
    "EXPORT_ROWS",
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
    "OUTBOX_GRACE_SECONDS",
    "TASK_STOP_SECONDS",
    "LIVE_CATCH_UP",
    "PRUNE_DAYS",
    "PRUNE_ROWS",
    "READER_RETIRE_SECONDS",
    "REPLAY_SECONDS",
    "LIVE_MAX_STREAMS_PER_USER",
    "LIVE_MAX_STREAMS_PER_ADDRESS",
    "LIVE_MAX_CONNECTS_PER_SECOND",
)


_WILD = re.compile(r"\\(.)|\[(?:\\.|[^\]\\])*\]?|[*?]")  # what stands in a glob for another character


@register(Tags.compatibility)
def check_settings(app_configs: Sequence[AppConfig] | None = None, **options: Any) -> list[CheckMessage]:
    """All that can be said of the settings as they stand."""
    wrong = list(_keys())
    if not wrong:
        wrong += [*_ranges(), *_database(), *_where(), *_cache(), *_redaction(), *_live(), *_ordered()]
    return wrong


@register(Tags.compatibility, deploy=True)
def check_deployment(app_configs: Sequence[AppConfig] | None = None, **options: Any) -> list[CheckMessage]:
    """What is risky only once it is deployed."""
    return [] if _keys_are_wrong() else list(deployment())


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
        if not getattr(conf, name) > 0:  # NaN is none
            yield Error(
                f"MESSAGING[{name!r}] must be above 0, not {getattr(conf, name)!r}", id="messaging.E003"
            )
    for name in _NOT_NEGATIVE:
        if not 0 <= getattr(conf, name) < math.inf:
            yield Error(
                f"MESSAGING[{name!r}] must be 0 or above, not {getattr(conf, name)!r}",
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


def _where() -> Iterator[CheckMessage]:
    alias = conf.CACHE_ALIAS
    if not alias:
        if target_of(conf.URL) is None:
            yield Error(
                "MESSAGING['URL'] is not a Redis URL",  # it may hold a password
                hint="redis://host:6379/0, rediss://user:password@host:6380/0 or unix:///path/to/redis.sock",
                id="messaging.E006",
            )
        return
    caches = getattr(settings, "CACHES", {})
    if alias not in caches:
        near = get_close_matches(alias, caches, n=1)
        hint = (
            f"Did you mean {near[0]!r}?" if near else "It names the django-redis cache whose server is used."
        )
        yield Error(
            f"MESSAGING['CACHE_ALIAS']: there is no cache {alias!r} in CACHES", hint=hint, id="messaging.E005"
        )
    elif not _is_django_redis(caches[alias].get("BACKEND")):
        yield Error(
            f"MESSAGING['CACHE_ALIAS']: {alias!r} is no django-redis cache",
            hint="Its BACKEND has to be django_redis.cache.RedisCache; or set MESSAGING['URL'] instead.",
            id="messaging.E005",
        )
    elif alias == "default":
        yield checks.Warning(
            "MESSAGING['CACHE_ALIAS'] is the default cache: cache.clear() is FLUSHDB and would empty the log",
            hint="Give the broker an alias of its own, with another database number.",
            id="messaging.W006",
        )


def _redaction() -> Iterator[CheckMessage]:
    for text in conf.REDACT_FIELDS:
        try:
            Field.of(str(text))
        except BadField as error:
            yield Error(f"MESSAGING['REDACT_FIELDS']: {error}", id="messaging.E007")
    yield from _function(
        "REDACT", "a function (event, user) -> event, such as 'shop.privacy.redact'", id="messaging.E007"
    )


def _function(name: str, what: str, *, id: str) -> Iterator[CheckMessage]:
    """A setting that is empty, or the path of a function."""
    if not (path := getattr(conf, name)):
        return
    try:
        wrong = "" if callable(import_string(path)) else f"{path!r} is no function"
    except ImportError as error:
        wrong = str(error)
    if wrong:
        yield Error(f"MESSAGING[{name!r}]: {wrong}", hint=f"The path of {what}.", id=id)


def _live() -> Iterator[CheckMessage]:
    yield from _function(
        "LIVE_MAY_HEAR",
        "a function (user, channel) -> bool, such as 'shop.rights.may_hear'",
        id="messaging.E008",
    )
    for entry in conf.LIVE_FILTERS:
        if not (
            isinstance(entry, (list, tuple))
            and len(entry) == 2
            and all(isinstance(each, str) for each in entry)
        ):
            yield Error(
                f"MESSAGING['LIVE_FILTERS'] has {shown(entry)}, which is no pair of a name and a query",
                hint="Such as ('Failures', '?channel=payments.*&q=failed').",
                id="messaging.E008",
            )


def _ordered() -> Iterator[CheckMessage]:
    for text in conf.ORDERED_CHANNELS:
        try:
            check_channel(_WILD.sub(lambda found: found[1] or "x", text) if isinstance(text, str) else text)
        except InvalidChannel:
            yield Error(
                f"MESSAGING['ORDERED_CHANNELS'] has {shown(text)}, which no channel matches",
                hint="Names and globs of channels: 1 to 255 characters, none of them white space.",
                id="messaging.E009",
            )


def _is_django_redis(backend: object) -> bool:
    try:
        found = import_string(str(backend))
    except ImportError:
        return False
    return isinstance(found, type) and issubclass(found, RedisCache)


def _cache() -> Iterator[CheckMessage]:
    """A cache of another alias in the same database."""
    broker = broker_target()
    if broker is None:
        return
    for alias, cache in getattr(settings, "CACHES", {}).items():
        found = target_of(cache.get("LOCATION"))
        if alias != conf.CACHE_ALIAS and found is not None and found[1:3] == broker[1:3]:
            yield checks.Warning(
                f"cache {alias!r} and the broker share a Redis database: {found.url}",
                hint="Give the cache another database number: its clear() is FLUSHDB and would empty the log.",
                id="messaging.W001",
            )
