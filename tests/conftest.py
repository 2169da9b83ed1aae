"""Fixtures that all tests share."""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from tests.servers import TestServer


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Coroutine tests (`@pytest.mark.anyio`) run on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[TestServer]:
    """The bundled Valkey, one for each pytest process. Most tests want `broker` instead, which empties it."""
    server = TestServer()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def redis7_server() -> Iterator[TestServer]:
    """The same with the system's redis-server."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.fail("redis-server is not installed")
    server = TestServer(binary=Path(binary))
    yield server
    server.remove()


@pytest.fixture
def broker(valkey_server: TestServer, settings: Settings) -> Iterator[TestServer]:
    """An empty server, which `settings.MESSAGING["URL"]` points to."""
    valkey_server.revive()
    settings.MESSAGING = settings.MESSAGING | {"URL": valkey_server.url}
    reset_clients()
    yield valkey_server
    reset_clients()
    valkey_server.close_clients()


def reset_clients() -> None:
    """Closes the app's cached clients, so that the next one reads the settings again."""
    if importlib.util.find_spec("messaging.connection"):
        importlib.import_module("messaging.connection").reset()
