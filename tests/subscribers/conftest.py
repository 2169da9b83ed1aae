"""Fixtures of the subscribers' tests: a registry and a database of their own, dispatch in the test's thread.

subscribing   nobody subscribes, but whom the test has subscribe; a fresh database; TASKS has our backend
dispatching   `dispatching()` takes the log to its end, as a listener would
"""

import threading
from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from messaging import connection, deliveries, subscribers
from messaging.dispatch import Dispatcher
from messaging.subscriptions import Subscriptions
from tests.integration.conftest import _sqlite_template, left_keys, sqlite
from tests.servers import TestServer

__all__ = ["_sqlite_template", "sqlite"]

TASKS = {
    "default": {
        "BACKEND": "messaging.taskqueue.RedisTaskBackend",
        "QUEUES": [],
        "OPTIONS": {"ENQUEUE_ON_COMMIT": False},
    }
}

Dispatching = Callable[..., Dispatcher]


@pytest.fixture
def empty_registry() -> Iterator[None]:
    """Nobody subscribes."""
    before, tasks = dict(subscribers.registered), dict(deliveries._tasks)
    subscribers.registered.clear()
    yield
    subscribers.registered.clear()
    subscribers.registered.update(before)
    deliveries._tasks.clear()
    deliveries._tasks.update(tasks)


@pytest.fixture
def subscribing(empty_registry: None, broker: TestServer, sqlite: str, settings: Settings) -> Iterator[None]:
    settings.TASKS = TASKS
    yield
    assert [name for name in left_keys(broker) if ":default:" not in name] == [], (
        "queues may stay, nothing else"
    )


@pytest.fixture
def dispatching(subscribing: None) -> Dispatching:
    def dispatch(dispatcher: Dispatcher | None = None) -> Dispatcher:
        """All that is in the log; a new dispatcher has just taken over."""
        client = connection.client()
        dispatcher = dispatcher or Dispatcher(client, 0, Subscriptions(client))
        stopping = threading.Event()
        stopping.set()
        for _ in range(200):
            if not dispatcher.step(stopping, block_ms=1) and dispatcher.is_caught_up:
                return dispatcher
        raise AssertionError("the dispatcher does not come to an end")

    return dispatch
