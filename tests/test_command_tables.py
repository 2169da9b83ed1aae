"""A database without tables: every command that asks one says so, and what helps."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker, Settings

from messaging import publish
from tests.commands import run
from tests.databases import alias, new_name, postgresql_config, sqlite_config
from tests.servers import TestServer


@pytest.fixture(params=["sqlite", "postgres"])
def empty(
    request: pytest.FixtureRequest,
    broker: TestServer,
    settings: Settings,
    tmp_path: Path,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[str]:
    """Messages are stored in a database that nobody has migrated."""
    name = new_name()
    if request.param == "sqlite":
        config = sqlite_config(tmp_path / "new.sqlite3")
    else:
        server = request.getfixturevalue("postgres")
        server.create_database(name)
        config = postgresql_config(server, name)
    settings.MESSAGING = settings.MESSAGING | {"DATABASE": name}
    with django_db_blocker.unblock(), alias(name, config):
        yield name


@pytest.mark.parametrize(
    "words",
    [
        ("quarantine", "list"),
        ("quarantine", "retry", "--all"),
        ("readers",),
        ("retire", "reports"),
        ("subscribers",),
        ("subscribers", "--forget", "x"),
        ("prune", "--days", "1"),
        ("replay", "--since", "0-0", "--to", "table"),
        ("replay", "--since", "0-0", "--to", "subscribers"),
    ],
    ids=" ".join,
)
def test_tables_that_are_not_there_are_no_outage(empty: str, words: tuple[str, ...]) -> None:
    publish("c", 1)
    ran = run("messaging", *words)
    assert ran.err.endswith("Cannot start: the database lacks messaging's tables: run manage.py migrate\n")
    assert (ran.code, ran.out) == (3, "")


def test_a_database_that_is_away_is_said_to_be_so(
    broker: TestServer, settings: Settings, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    name = new_name()
    settings.MESSAGING = settings.MESSAGING | {"DATABASE": name}
    with django_db_blocker.unblock(), alias(name, sqlite_config(tmp_path / "nowhere" / "file.sqlite3")):
        for words in (("quarantine", "list"), ("readers",), ("prune", "--days", "1")):
            ran = run("messaging", *words)
            assert ran.code == 1
            assert "The database is away (unable to open database file)." in ran.err
