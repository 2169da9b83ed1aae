"""A backend's settings -> what is wrong with them, for ``manage.py check``. Asks neither Redis nor a database.

messaging.E101  OPTIONS that cannot work
messaging.E102  ENQUEUE_ON_COMMIT names a database that is not in DATABASES, or one that cannot hold the outbox
messaging.E103  QUEUES is not a list of names
messaging.E104  ENQUEUE_ON_COMMIT without the app that has the outbox's table
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error
from django.db import connections

from messaging.errors import InvalidOption, shown
from messaging.taskqueue import options as known_options


def problems(alias: str, queues: object, options: object) -> Iterator[CheckMessage]:
    """All that is wrong; raises nothing."""
    where = f"TASKS[{alias!r}]"
    if not isinstance(options, Mapping):
        yield Error(f"{where}: OPTIONS is a dict, not {shown(options)}", id="messaging.E101")
        return
    for wrong, hint in known_options.problems(options):
        yield Error(f"{where}: {wrong}", hint=hint, id="messaging.E101")
    yield from _queues(where, queues)
    yield from _outbox(where, options.get("ENQUEUE_ON_COMMIT", False))


def _queues(where: str, queues: Any) -> Iterator[CheckMessage]:
    for name in sorted(queues, key=str):
        try:
            known_options.check_queue(name, "a queue's name")
        except InvalidOption as error:
            yield Error(f"{where}: QUEUES: {error}", hint="Redis keys carry it.", id="messaging.E103")


def _outbox(where: str, database: object) -> Iterator[CheckMessage]:
    if not database:
        return
    if not apps.is_installed("messaging"):
        yield Error(
            f"{where}: ENQUEUE_ON_COMMIT needs the app's tables",
            hint="Add 'messaging' to INSTALLED_APPS and run `manage.py migrate`.",
            id="messaging.E104",
        )
    if isinstance(database, str) and database not in connections:
        yield Error(
            f"{where}: ENQUEUE_ON_COMMIT names {database!r}, which is not in DATABASES",
            hint=f"One of {', '.join(map(repr, connections))}, or True for MESSAGING['DATABASE'].",
            id="messaging.E102",
        )
    elif isinstance(database, str) and (vendor := connections[database].vendor) not in (
        "sqlite",
        "postgresql",
    ):
        yield Error(
            f"{where}: ENQUEUE_ON_COMMIT names {database!r}, which is {vendor}",
            hint="Messages and tasks are stored in SQLite or PostgreSQL.",
            id="messaging.E102",
        )
