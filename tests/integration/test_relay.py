"""The relay: every entry becomes one row, whatever happens in between."""

import pytest

from messaging import connection, publish_many
from messaging.models import Message
from messaging.relay import Relay

pytestmark = pytest.mark.usefixtures("broker")


def relayed(partition: int = 0) -> Relay:
    relay = Relay(connection.client(), partition)
    relay.take_over()
    return relay


def drain(relay: Relay) -> int:
    total = 0
    for _ in range(100):
        if not relay.step(block_ms=1) and relay.caught_up:
            return total
        total = relay.stored
    raise AssertionError("the relay does not come to an end")


def test_every_entry_becomes_one_row(database: str) -> None:
    events = publish_many([("orders.created", {"n": n}) for n in range(2500)])
    relay = relayed()
    assert drain(relay) == 2500
    rows = list(Message.objects.using(database).in_log_order())
    assert [row.event_id for row in rows] == [event.id for event in events]
    assert [row.as_event() for row in rows] == events
