"""Nothing -> a private broker, databases and Django on top of them, all gone afterwards."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from messaging.standalone.embedded import EmbeddedServer
from tests import postgres

POSTGRESQL = "postgresql"  # alias of that database; SQLite is the default one
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - Linux's files in memory: the moods of a disk are not measured


@dataclass(frozen=True, slots=True)
class Stage:
    """What the figures run on."""

    broker: EmbeddedServer
    directory: Path
    postgresql: bool  # is there one?
    quick: bool


@contextmanager
def stage(*, with_postgresql: bool, quick: bool) -> Iterator[Stage]:
    """The embedded server on its Unix socket, SQLite in a file and PostgreSQL, migrated, under the site's settings."""
    home = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None
    directory = Path(tempfile.mkdtemp(prefix="mtb-", dir=home))
    broker = EmbeddedServer(directory / "valkey", socket=directory / "s")
    cluster = None
    try:
        broker.start()
        broker.wait_ready()
        folder = postgres.binaries() if with_postgresql else None
        if folder is not None:
            cluster = postgres.PostgresServer(folder)
        _set_up_django(directory, broker, cluster)
        yield Stage(broker, directory, cluster is not None, quick)
    finally:
        if cluster is not None:
            cluster.remove()
        broker.kill()
        shutil.rmtree(directory, ignore_errors=True)


def _set_up_django(directory: Path, broker: EmbeddedServer, cluster: postgres.PostgresServer | None) -> None:
    import django
    from django.conf import settings
    from django.core.management import call_command

    for name in ("DATABASE_URL", "DEBUG"):
        os.environ.pop(name, None)
    os.environ |= {
        "VAR_DIR": str(directory),
        "SECRET_KEY": "for benchmarks only",
        "REDIS_URL": f"unix://{broker.socket}?db=0",
    }
    from broker_site import settings as site

    given: dict[str, Any] = {name: getattr(site, name) for name in dir(site) if name.isupper()}
    given["INSTALLED_APPS"] = ["messaging", "django.contrib.auth", "django.contrib.contenttypes"]
    given["MESSAGING"]["PUBLISH_BUDGET"] = 10.0  # a busy machine is no reason to stop measuring
    if cluster is not None:
        given["DATABASES"][POSTGRESQL] = {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": str(cluster.directory),  # its Unix socket
            "PORT": str(cluster.port),
            "USER": "tests",
            "NAME": "tests",
        }
    settings.configure(**given)
    django.setup()
    for alias in given["DATABASES"]:
        call_command("migrate", database=alias, verbosity=0)
