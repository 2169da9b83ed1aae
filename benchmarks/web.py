"""A stage -> the site as a web process of its own, on a port of the loopback interface."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks.stage import Stage
from tests.processes import plain_environment
from tests.sites import Database, make_database, start_web
from tests.waiting import eventually


@dataclass(frozen=True, slots=True)
class Web:
    """Where it answers, and its database with an admin who is logged in."""

    port: int
    database: Database


@contextmanager
def web(stage: Stage, name: str, *, listening: bool = False) -> Iterator[Web]:
    """Under the site's own settings and server, with a SQLite file of its own."""
    directory = stage.directory / name
    directory.mkdir()
    database = make_database(directory)
    env = plain_environment(
        VAR_DIR=str(directory),
        DATABASE_URL=database.url,
        REDIS_URL=f"unix://{stage.broker.socket}?db=0",
        LOG_LEVEL="WARNING",
        DJANGO_SETTINGS_MODULE="benchmarks.listening_settings" if listening else "broker_site.settings",
    )
    process, url = start_web(env)
    port = urlsplit(url).port or 0
    try:
        eventually(lambda: _answers(port), timeout=30, every=0.05, message=f"{url}: {process.output}")
        yield Web(port, database)
    finally:
        process.clean_up()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
