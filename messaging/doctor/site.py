"""Settings and the database -> findings: can what is published be kept, and does anything else empty the log."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.core.checks import ERROR, CheckMessage, run_checks
from django.db import DatabaseError, InterfaceError, connections

from messaging import connection
from messaging.checks import check_deployment, check_settings
from messaging.conf import conf
from messaging.doctor.finding import Finding, note, ok, problem, warning
from messaging.errors import shown
from messaging.quantities import size
from messaging.tables import lacking
from messaging.taskchecks import check_tasks

LITTLE_ROOM = 512 * 1024 * 1024  # bytes left on SQLite's disk
SHORT_WAIT = 10  # seconds for SQLite's write lock


# -- settings -----------------------------------------------------------------------------------------------------


def settings_findings() -> Iterator[Finding]:
    """What ``manage.py check --deploy`` says of messaging and of its backends of TASKS."""
    found: list[CheckMessage] = []
    try:
        found += run_checks(include_deployment_checks=True)
    except Exception as error:  # of whatever else is checked, such as a URLconf that cannot be imported
        found += [*check_settings(), *check_deployment(), *check_tasks()]
        yield warning(
            "settings",
            f"manage.py check --deploy ends with {type(error).__name__}: {error}",
            why="It is about another part of the site; what is known of messaging follows.",
        )
    ours = [each for each in found if str(each.id).startswith("messaging.") and not each.is_silenced()]
    for each in ours:
        yield _of_check(each)
    if not ours:
        yield ok("settings", "nothing wrong with them")


def _of_check(message: CheckMessage) -> Finding:
    level = problem if message.level >= ERROR else warning
    return level(
        "settings",
        f"{message.id}: {message.msg}",
        why="Found by manage.py check --deploy.",
        remedy=message.hint or "",
    )


# -- the cache ----------------------------------------------------------------------------------------------------


def cache_findings(client: redis.Redis) -> Iterator[Finding]:
    """Caches in the broker's database or on its server, however their addresses are spelled."""
    if alias := conf.CACHE_ALIAS:
        yield note(
            "cache",
            f"the broker lives in the database of cache {alias!r}",
            why="caches[...].clear() of that alias is FLUSHDB and empties the log.",
            remedy="Keep the alias for the broker alone; let the site's cache be another one.",
        )
    ours = _identity(client)
    if ours is None:
        return
    for name, cache in settings.CACHES.items():
        location = _location(cache)
        if name == alias or location is None:
            continue
        theirs = _ask(location)
        if theirs == ours:
            yield problem(
                "cache",
                f"cache {name!r} and the broker share a Redis database",
                why="The cache's clear() is FLUSHDB: it empties the log, with all that is not stored yet.",
                remedy=f"Give the cache another database number in CACHES[{name!r}]['LOCATION'].",
            )
        elif theirs is not None and theirs[0] == ours[0]:
            yield note(
                "cache",
                f"cache {name!r} is on the broker's server, in database {theirs[1]}",
                why="They share its memory: a cache that fills it stops publish(), and FLUSHALL empties both.",
                remedy="Fine for a small site. Give the cache a server of its own when it grows.",
            )


def _location(cache: dict[str, Any]) -> str | None:
    """The Redis URL of a cache, if it has one."""
    found = cache.get("LOCATION")
    if isinstance(found, (list, tuple)) and found:
        found = found[0]
    return found if isinstance(found, str) and found.startswith(("redis", "unix:")) else None


def _identity(client: redis.Redis) -> tuple[str, int] | None:
    """The server's run id and the database number, if it tells."""
    try:
        run_id = client.info("server").get("run_id")
    except redis.RedisError:
        return None
    return (str(run_id), int(client.connection_pool.connection_kwargs.get("db") or 0)) if run_id else None


def _ask(location: str) -> tuple[str, int] | None:
    try:
        with closing(connection.at(location)) as client:
            return _identity(client)
    except (redis.RedisError, ValueError):
        return None


# -- the database -------------------------------------------------------------------------------------------------


def database_findings() -> Iterator[Finding]:
    """It answers, is of a kind that we know, has the tables, and is set up for several writers."""
    alias = conf.DATABASE
    database = connections[alias]
    try:
        with database.cursor() as cursor:
            cursor.execute("SELECT 1")
        if database.vendor == "sqlite":
            yield from _sqlite(database)
        elif database.vendor == "postgresql":
            yield from _postgresql(database)
        else:
            yield problem(
                "database",
                f"{alias!r} is {database.vendor}",
                why="Messages are stored by statements that only SQLite and PostgreSQL know.",
                remedy="Point MESSAGING['DATABASE'] at a database of either kind.",
            )
        missing = lacking(alias)
    except (DatabaseError, InterfaceError) as error:
        yield problem(
            "database",
            f"{alias!r} does not answer: {shown(str(error).strip())}",
            why="Nothing is stored; the log keeps it meanwhile. publish() inside a transaction fails with it.",
            remedy="Start it, or mend DATABASE_URL.",
        )
        return
    if missing:
        yield problem(
            "migrations",
            f"the database lacks {missing}",
            why="The listener does not start without them.",
            command="manage.py migrate",
        )
    else:
        yield ok("migrations", "all applied")


def _sqlite(database: Any) -> Iterator[Finding]:
    version = ".".join(str(part) for part in database.Database.sqlite_version_info)
    with database.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        (mode,) = cursor.fetchone()
    if mode == "wal":
        yield ok("database", f"SQLite {version}, journal mode WAL")
    else:
        yield warning(
            "database",
            f"SQLite {version}, journal mode {mode.upper()}",
            why="Readers and writers wait for each other: pages stand still while the listener stores.",
            remedy=f"In DATABASES[{database.alias!r}]['OPTIONS']:",
            command='"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"',
        )
    options = database.settings_dict.get("OPTIONS", {})
    if str(options.get("transaction_mode") or "").upper() not in ("IMMEDIATE", "EXCLUSIVE"):
        yield warning(
            "database",
            "transactions begin without the write lock",
            why='One that reads and then writes fails with "database is locked" when another wrote meanwhile.',
            remedy=f"In DATABASES[{database.alias!r}]['OPTIONS']:",
            command='"transaction_mode": "IMMEDIATE"',
        )
    if (wait := float(options.get("timeout", 5))) < SHORT_WAIT:
        yield note(
            "database",
            f"writers wait {wait:g} s for each other",
            why='Then they fail with "database is locked"; a large batch and a slow disk take a while.',
            remedy=f"In DATABASES[{database.alias!r}]['OPTIONS']:",
            command='"timeout": 20',
        )
    try:
        free = shutil.disk_usage(Path(str(database.settings_dict["NAME"])).resolve().parent).free
    except OSError:
        return
    if free < LITTLE_ROOM:
        yield warning(
            "disk",
            f"{size(free)} free where the database file is",
            why="On a full disk nothing is stored, and publish() inside a transaction fails.",
            remedy="Make room, or prune old rows:",
            command="manage.py messaging prune --days 30",
        )


def _postgresql(database: Any) -> Iterator[Finding]:
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version'), current_setting('server_encoding'), "
            "current_setting('synchronous_commit'), pg_is_in_recovery()"
        )
        version, encoding, commit, standby = cursor.fetchone()
    yield ok("database", f"PostgreSQL {version.split(' ')[0]}")
    if standby:
        yield problem(
            "database",
            "it is a standby, which takes no writes",
            why="Nothing is stored, and publish() inside a transaction fails.",
            remedy="Point DATABASE_URL at the primary.",
        )
    if encoding != "UTF8":
        yield problem(
            "database",
            f"its encoding is {encoding}",
            why="Payloads with other characters end in quarantine.",
            remedy="Make a database with ENCODING 'UTF8'.",
        )
    if commit == "off":
        yield warning(
            "database",
            "synchronous_commit is off",
            why="A crash loses the last commits, and with them messages of the outbox that were promised.",
            command="ALTER DATABASE ... SET synchronous_commit = on",
        )
