"""publish() and its kin, against a server inside this process."""

import fakeredis
import pytest

import messaging
from messaging import log


def test_a_published_event_carries_its_location_in_the_log(fake_broker: fakeredis.FakeRedis) -> None:
    event = messaging.publish("orders.created", {"id": 1})
    (entry,) = log.read(fake_broker, 0, log.START, count=10, block_ms=None)
    assert event.location == entry.location
    assert entry.event() == event
