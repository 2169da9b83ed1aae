"""Fixtures of the queue's tests, and what must be true after each of them.

queue       a queue on the bundled Valkey whose clock the test may set (`queue.now`, milliseconds)
any_queue   the same on the bundled Valkey and on the system's Redis
"""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from messaging.taskqueue.queue import Queue
from tests.servers import TestServer
from tests.taskqueue.audit import audit


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
