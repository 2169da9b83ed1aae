"""pytest's fixtures ``published``, ``tasks`` and ``memory_broker`` -> this package's context managers.

In ``conftest.py``: ``pytest_plugins = ["messaging.testing.plugin"]``
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from messaging import testing


@pytest.fixture
def published() -> Iterator[testing.Captured]:
    """What ``publish()`` was given in this test; nothing leaves."""
    with testing.captured() as kept:
        yield kept


@pytest.fixture
def tasks() -> Iterator[testing.EnqueuedTasks]:
    """What was enqueued in this test; ``tasks.run()`` calls it."""
    with testing.captured_tasks() as kept:
        yield kept


@pytest.fixture
def memory_broker() -> Iterator[redis.Redis]:
    """An empty broker inside this process (needs ``fakeredis[lua]``); ``run_tasks()`` is its worker."""
    with testing.memory_broker() as client:
        yield client
