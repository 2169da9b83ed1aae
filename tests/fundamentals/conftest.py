"""What the tutorial starts with."""

import pytest
from redis import Redis

from tests.servers import TestServer


@pytest.fixture
def redis(broker: TestServer) -> Redis:
    """A plain client of an empty server, which answers in text."""
    return broker.client(decode_responses=True)
