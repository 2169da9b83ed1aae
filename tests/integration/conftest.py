"""Fixtures of the tests that need a real server, and what must be true after each of them.

any_broker  as `broker`; the test runs on the bundled Valkey and on the system's Redis
database    the alias of a fresh database of its own; the test runs on SQLite and on PostgreSQL
sqlite, postgresql      the same on one of them
start_listener          listeners as threads of this process
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from pytest_django import DjangoDbBlocker, Settings

from messaging import capture, keys, listener, log
from messaging.listener import Listener
from tests import databases
from tests.conftest import reset_clients
from tests.postgres import PostgresServer
from tests.servers import TestServer
from tests.waiting import eventually


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """No thread of ours is left over, nor a key without an expiry that `messaging.keys` does not name."""
    server: TestServer | None = None
    for name in ("broker", "any_broker"):
        if name in request.fixturenames:
            server = request.getfixturevalue(name)
    yield
    eventually(lambda: not our_threads(), message=f"no thread left over, but there is {our_threads()}")
    if server is not None:
        assert left_keys(server) == []


def our_threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("messaging-")]


def left_keys(server: TestServer) -> list[str]:
    """Keys that stay for ever and are not the log's; none on a server that the test has ended."""
    client = server.client()
    known = {name(partition) for partition in log.partitions() for name in (keys.log, keys.epoch, keys.fence)}
    known |= {keys.ended_in_order(), keys.tokens(), keys.alerts()}
    try:
        found = [key.decode(errors="replace") for key in client.scan_iter()]
    except redis.ConnectionError:
        return []
    return [key for key in found if key not in known and client.ttl(key) == -1]


@pytest.fixture(params=["valkey_server", "redis7_server"])
def any_broker(request: pytest.FixtureRequest, settings: Settings) -> Iterator[TestServer]:
    server: TestServer = request.getfixturevalue(request.param)
    server.revive()
    settings.MESSAGING = settings.MESSAGING | {"URL": server.url}
    reset_clients()
    yield server
    reset_clients()
    server.close_clients()


# -- databases


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker) -> Path:
    with django_db_blocker.unblock():
        return databases.sqlite_template(tmp_path_factory.mktemp("messages"))


@pytest.fixture(scope="session")
def _postgresql_config(postgres: PostgresServer, django_db_blocker: DjangoDbBlocker) -> dict[str, Any]:
    config = databases.postgresql_config(postgres, "tests")
    with django_db_blocker.unblock():
        databases.migrate(config)
    return config


@pytest.fixture
def sqlite(
    _sqlite_template: Path, tmp_path: Path, settings: Settings, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    config = databases.copied_sqlite(_sqlite_template, tmp_path)
    with django_db_blocker.unblock(), databases.alias(databases.new_name(), config) as name:
        settings.MESSAGING = settings.MESSAGING | {"DATABASE": name}
        yield name


@pytest.fixture
def postgresql(
    _postgresql_config: dict[str, Any], settings: Settings, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    config = dict(_postgresql_config)
    with django_db_blocker.unblock(), databases.alias(databases.new_name(), config) as name:
        databases.empty(name)
        settings.MESSAGING = settings.MESSAGING | {"DATABASE": name}
        yield name


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    alias: str = request.getfixturevalue(request.param)
    return alias


# -- listeners


@pytest.fixture(autouse=True)
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that are told to end do so after the step they are in."""
    monkeypatch.setattr(capture, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(listener, "BLOCK_MS", 50)
    monkeypatch.setattr(listener, "SWEEP_SECONDS", 0.1)


class RunningListener:
    """A listener in a thread of this process."""

    def __init__(self, **options: Any) -> None:
        self.listener = Listener(**options)
        self._thread = threading.Thread(target=self._run, name="a listener of the test")
        self._thread.start()

    def _run(self) -> None:
        self.listener.run(tick_seconds=0.1)

    def stop(self) -> None:
        self.listener.stop()
        self._thread.join(20)
        assert not self._thread.is_alive()


StartListener = Callable[..., RunningListener]


@pytest.fixture
def start_listener() -> Iterator[StartListener]:
    """`start_listener(channels=[...], lists=[...])`; all are stopped at the end."""
    started: list[RunningListener] = []

    def start(*, wait: bool = True, **options: Any) -> RunningListener:
        running = RunningListener(**options)
        started.append(running)
        if wait:
            eventually(running.listener.in_charge.is_set, message="the listener is in charge")
        return running

    yield start
    for running in started:
        running.stop()
