"""A relay, a sweeper and the log, step by step in the test's own thread."""

from messaging import connection, log
from messaging.models import Message
from messaging.outbox import Sweeper
from messaging.relay import Relay


def new_relay(partition: int = 0) -> Relay:
    """A relay that is in charge."""
    relay = Relay(connection.client(), partition)
    relay.take_over()
    return relay


def drain(relay: Relay) -> Relay:
    """Steps until the end of the log is stored."""
    for _ in range(200):
        if not relay.step(block_ms=1) and relay.caught_up:
            return relay
    raise AssertionError("the relay does not come to an end")


def relay_all() -> Relay:
    """Everything in the log is stored."""
    return drain(new_relay())


def sweep(relay: Relay, sweeper: Sweeper | None = None) -> int:
    """One look at the outbox; how many rows were sent."""
    sweeper = sweeper or Sweeper(connection.client())
    return sweeper.sweep({relay.partition: relay.position})


def logged(partition: int = 0) -> list[object]:
    """The data of every event in the log."""
    entries = log.between(connection.client(), partition, log.START, None, count=100_000)
    return [entry.event().data for entry in entries]


def stored(alias: str) -> list[object]:
    """The data of every stored message, in the order of the log."""
    return [row.data for row in Message.objects.using(alias).stored().in_log_order()]


def pending(alias: str) -> list[object]:
    """The data of every outbox row."""
    return [row.data for row in Message.objects.using(alias).pending().order_by("pk")]
