"""Fixtures that all tests share.

broker         a real, empty server, and settings that point to it       most integration tests
manage         starts `manage.py ...` as a real process                  commands and signals
site           web server, listener and broker, one for each test file   HTTP and the browser
page           a browser page on `site`, the admin logged in             the live page and the admin
redis7_server, postgres                                                  the other ends of the range
"""

import importlib
import importlib.util
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings as django_settings
from playwright.sync_api import Browser, Page, sync_playwright
from pytest_django import Settings

from tests import browser
from tests import postgres as postgres_server
from tests.missing import missing, pytest_terminal_summary
from tests.nursery import Nursery
from tests.processes import Process, plain_environment, python
from tests.servers import TestServer
from tests.sites import Database, Site, make_database, running_site

__all__ = ["pytest_terminal_summary"]

# A busy machine is no failure: pytest-timeout bounds what hangs.
hypothesis.settings.register_profile(
    "tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")


def pytest_configure() -> None:
    """Behind a shell's `&` SIGINT is ignored, and so it would be by every process that a test starts and interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure() -> None:
    """Removes what tests/settings.py made; `atexit` would be too late in a worker of pytest-xdist."""
    shutil.rmtree(django_settings.VAR_DIR, ignore_errors=True)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Coroutine tests (`@pytest.mark.anyio`) run on asyncio."""
    return "asyncio"


# -- servers


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[TestServer]:
    """The bundled Valkey, one for each pytest process. Most tests want `broker` instead, which empties it."""
    server = TestServer()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def redis7_server() -> Iterator[TestServer]:
    """The same with the system's redis-server."""
    binary = shutil.which("redis-server") or missing("redis-server", "Debian package redis-server")
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
    """Closes the app's cached clients, so that the next one reads the settings again; the breaker forgets as well."""
    for name in ("messaging.connection", "messaging.wire"):
        if importlib.util.find_spec(name):
            importlib.import_module(name).reset()


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.PostgresServer]:
    """A private PostgreSQL; `.url` for DATABASE_URL, `.create_database(name)` for a fresh one."""
    folder = postgres_server.binaries() or missing("PostgreSQL", "Debian package postgresql")
    server = postgres_server.PostgresServer(folder)
    yield server
    server.remove()


# -- processes


@pytest.fixture(scope="session", autouse=True)
def nursery() -> Iterator[None]:
    """Started processes are forked where they can be: see tests/nursery.py."""
    Process.nursery = Nursery(plain_environment())
    yield
    Process.nursery.close()
    Process.nursery = None


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """A temporary directory whose path leaves room for the name of a Unix socket."""
    directory = Path(tempfile.mkdtemp(prefix="mtd-", dir="/tmp"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def database_template(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """A migrated database with an admin in it, which tests copy."""
    return make_database(tmp_path_factory.mktemp("database"))


@pytest.fixture
def database_copy(database_template: Database, short_directory: Path) -> Database:
    """A migrated SQLite file for the processes of one test; the admin is logged in."""
    return database_template.copy_to(short_directory)


Manage = Callable[..., Process]


@pytest.fixture
def manage(request: pytest.FixtureRequest, short_directory: Path) -> Iterator[Manage]:
    """`manage("listen", "orders.*", env={...}, **options)` starts `manage.py listen orders.*` as a process.

    Its environment has a VAR_DIR of its own, a migrated database, and the server of `broker` when the test has one.
    All processes of a test share them. `options` as for `tests.processes.Process`.
    """
    database: Database = request.getfixturevalue("database_copy")
    base = plain_environment(VAR_DIR=str(short_directory), DATABASE_URL=database.url)
    if "broker" in request.fixturenames:
        base["REDIS_URL"] = request.getfixturevalue("broker").url
    started: list[Process] = []

    def start(*arguments: str, env: dict[str, str] | None = None, **options: Any) -> Process:
        process = Process(python("manage.py", *arguments), env=base | (env or {}), **options)
        started.append(process)
        return process

    yield start
    for process in reversed(started):
        process.clean_up()


# -- the site and the browser


@pytest.fixture(scope="module")
def site(database_template: Database) -> Iterator[Site]:
    """The whole site for all tests of a file: they use channel names of their own and do not count the world."""
    with _site(database_template) as running:
        yield running


@pytest.fixture
def fresh_site(database_template: Database) -> Iterator[Site]:
    """A site for one test, which may kill parts of it or count everything."""
    with _site(database_template) as running:
        yield running


@contextmanager
def _site(template: Database) -> Iterator[Site]:
    directory = Path(tempfile.mkdtemp(prefix="mtw-", dir="/tmp"))
    try:
        with running_site(template, directory) as running:
            yield running
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's browser for all tests of a file.

    Playwright keeps an event loop running in this thread as long as it lives: Django would refuse the ORM, and
    coroutine tests cannot run, so they live in files without a browser.
    """
    path = browser.chromium_path() or missing("Chromium", "Debian package chromium")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        launched = browser.launch(playwright, path)
        yield launched
        launched.close()


@pytest.fixture
def console() -> Iterator[browser.Console]:
    """Fails the test at its end when a page complained; `console.allow(regex)` for what is meant."""
    console = browser.Console()
    yield console
    console.check()


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(chromium: Browser, console: browser.Console) -> Iterator[OpenPage]:
    """`open_page(site, login=True, **context)`: as many pages, each with a profile of its own, as a test needs."""
    opened: list[Page] = []

    def open_one(on: Site, **options: Any) -> Page:
        opened.append(browser.open_page(chromium, on, console, **options))
        return opened[-1]

    yield open_one
    for page in opened:
        page.context.close()


@pytest.fixture
def page(open_page: OpenPage, site: Site) -> Page:
    """A page on `site`, the admin logged in: `page.goto("/messages/")`."""
    return open_page(site)


@pytest.fixture
def screenshot() -> Callable[..., Path]:
    """`screenshot(page, "live-dark")` writes tests/screenshots/live-dark.png."""
    return browser.take_screenshot
