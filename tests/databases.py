"""A migrated file or server -> an empty database for one test, as one more alias of Django's.

Tests of the relay need real transactions, threads and both databases; a TestCase's wrapper around them would hide what
they are about. Nothing here touches the alias `default`, so a query that forgets `using=` fails.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import environ
from django.apps import apps
from django.core.management import call_command
from django.db import connections

from broker_site import settings as site
from tests.postgres import PostgresServer

_numbers = count(1)


def new_name() -> str:
    """An alias that no thread has seen before: threads that outlive a test keep their connections by alias."""
    return f"messages{next(_numbers)}"


@contextmanager
def alias(name: str, config: dict[str, Any]) -> Iterator[str]:
    """A database of this configuration under ``name``, for as long as the block lasts."""
    known = connections.databases
    known[name] = config
    connections.configure_settings(known)  # fills in what Django expects to find
    try:
        yield name
    finally:
        connections[name].close()
        del connections[name]
        del known[name]


def sqlite_config(path: Path) -> dict[str, Any]:
    """As the site has it: WAL, and writers that queue."""
    options = site.DATABASES["default"]["OPTIONS"]
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path), "OPTIONS": options}


def postgresql_config(server: PostgresServer, name: str) -> dict[str, Any]:
    """As the site has it."""
    return environ.Env.db_url_config(server.url_of(name)) | {"CONN_HEALTH_CHECKS": True}


def migrate(config: dict[str, Any]) -> None:
    """All tables of `messaging`."""
    with alias("template", config) as name:
        call_command("migrate", "messaging", database=name, verbosity=0)


def copied_sqlite(template: Path, directory: Path) -> dict[str, Any]:
    """A copy in ``directory``."""
    path = directory / f"messages{next(_numbers)}.sqlite3"
    shutil.copyfile(template, path)
    return sqlite_config(path)


def sqlite_template(directory: Path) -> Path:
    """A migrated file that tests copy."""
    path = directory / "messages.sqlite3"
    migrate(sqlite_config(path))
    with sqlite3.connect(path) as opened:
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    opened.close()
    return path


def empty(name: str) -> None:
    """Empties the tables of `messaging`."""
    models = [model for model in apps.get_app_config("messaging").get_models() if model._meta.managed]
    tables = ", ".join(model._meta.db_table for model in models)
    with connections[name].cursor() as cursor:
        cursor.execute(f"TRUNCATE {tables} RESTART IDENTITY")


def elsewhere(function: Callable[[], object]) -> None:
    """Calls it on a thread with connections of its own, as another process would."""

    def run() -> None:
        try:
            function()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(run).result()
