"""A whole listener: what is published, due or pushed becomes tasks, while everything else goes on as ever."""

import pytest
from pytest_django import Settings

import messaging
from messaging import connection, keys, tasklists
from messaging.cursors import noted
from messaging.event import Event
from messaging.subscribers import subscribe
from messaging.testing import run_tasks, waiting_tasks
from tests.integration.conftest import StartListener, short_steps, start_listener
from tests.integration.relaying import stored
from tests.servers import TestServer
from tests.subscribers import shop
from tests.waiting import eventually

__all__ = ["short_steps", "start_listener"]


def test_a_listener_makes_tasks_of_events_ticks_and_items(
    subscribing: None,
    broker: TestServer,
    sqlite: str,
    settings: Settings,
    start_listener: StartListener,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasklists, "WAIT_SECONDS", 0.05)
    shop.calls.clear()
    heard: list[object] = []

    def on_order(event: Event) -> None:
        heard.append(event.data)

    subscribe("orders.*", name="shop.on_order")(on_order)
    settings.MESSAGING = settings.MESSAGING | {
        "SCHEDULE": {"often": {"task": "tests.subscribers.shop.report", "every": 0.2}},
        "TASK_LISTS": {"emails": "tests.subscribers.shop.send"},
    }
    running = start_listener()
    eventually(lambda: noted("dispatch", 0) is not None, message="the dispatcher is in charge")
    messaging.publish("orders.created", 1)
    broker.client().lpush("emails", "ann")

    def kinds() -> set[str]:
        return {each.task.rpartition(".")[2] for each in waiting_tasks()}

    eventually(lambda: kinds() == {"send", "report", "shop:on_order"}, message="one task of each kind")
    running.stop()
    run_tasks()
    assert heard == [1]
    assert ("send", "ann") in shop.calls
    assert ("report", "today", 1) in shop.calls
    assert stored(sqlite) == [1]
    connection.client().delete(keys.ticks())
