"""Fixtures of the queue's tests, and what must be true after each of them.

queue       a queue on the bundled Valkey whose clock the test may set (`queue.now`, milliseconds)
any_queue   the same on the bundled Valkey and on the system's Redis
workshop    a server for all tests of a file, and real workers on it
"""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from messaging.taskqueue.queue import Queue
from tests.conftest import reset_clients
from tests.servers import TestServer
from tests.taskqueue.audit import audit
from tests.taskqueue.worker_settings import TASKS
from tests.taskqueue.workers import Workshop


def made_on(server: TestServer, settings: Settings) -> Iterator[Queue]:
    """A queue on an emptied server; afterwards every job is where it belongs, and no key is left that has no name."""
    server.revive()
    settings.MESSAGING = settings.MESSAGING | {"URL": server.url}
    queue = Queue(server.client(protocol=2), "default", "mails")
    yield queue
    audit(queue)
    server.close_clients()


@pytest.fixture
def queue(valkey_server: TestServer, settings: Settings) -> Iterator[Queue]:
    yield from made_on(valkey_server, settings)


@pytest.fixture(params=["valkey_server", "redis7_server"])
def any_queue(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Queue]:
    yield from made_on(request.getfixturevalue(request.param), settings)


@pytest.fixture(scope="module")
def workshop_of_the_file() -> Iterator[Workshop]:
    """One for all tests of a file. Use `workshop`, which points the settings to it."""
    shop = Workshop()
    yield shop
    shop.close()


@pytest.fixture
def workshop(workshop_of_the_file: Workshop, settings: Settings) -> Iterator[Workshop]:
    """Real workers (`workshop.work("--queues", "mail")`), shared by the tests of a file."""
    settings.MESSAGING = settings.MESSAGING | {"URL": workshop_of_the_file.server.url}
    settings.TASKS = TASKS
    reset_clients()
    yield workshop_of_the_file
    reset_clients()
    workshop_of_the_file.server.close_clients()
