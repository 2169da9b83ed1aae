"""Fixtures of the tests that need no server.

fake_broker    an empty server inside this process (fakeredis), reached as a site would reach its cache's server
"""

from collections.abc import Iterator
from itertools import count

import fakeredis
import pytest
from fakeredis import FakeRedisConnection
from pytest_django import Settings

from messaging import connection, wire

_numbers = count(1)


@pytest.fixture
def fake_broker(settings: Settings) -> Iterator[fakeredis.FakeRedis]:
    """A client of the server that `publish()` reaches through `MESSAGING["CACHE_ALIAS"]`."""
    host = f"fake{next(_numbers)}"
    settings.CACHES = settings.CACHES | {
        "fake": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": f"redis://{host}:6379/0",
            "OPTIONS": {"CONNECTION_POOL_KWARGS": {"connection_class": FakeRedisConnection}},
        }
    }
    settings.MESSAGING = {"CACHE_ALIAS": "fake"}
    client = connection.client()
    yield client
    wire.reset()
    connection.reset()
