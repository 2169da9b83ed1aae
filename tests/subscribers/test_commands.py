"""`messaging subscribers` and `messaging replay --to subscribers NAME`."""

import pytest

import messaging
from messaging.event import Event
from messaging.models import Message
from messaging.subscribers import registered, subscribe
from messaging.testing import run_tasks, waiting_tasks
from tests.commands import run
from tests.integration.relaying import relay_all
from tests.subscribers.conftest import Dispatching

pytestmark = pytest.mark.usefixtures("subscribing")


@pytest.fixture
def heard(dispatching: Dispatching) -> list[object]:
    """Of a subscriber to `c*` that has had two events already."""
    seen: list[object] = []

    def bill(event: Event) -> None:
        seen.append(event.data)

    subscribe("c*", name="shop.bill", ordered_by="key")(bill)
    dispatcher = dispatching()
    messaging.publish_many([("c1", 1), ("c2", 2), ("d", 3)])
    dispatching(dispatcher)
    run_tasks()
    return seen


def test_the_list_says_who_is_deployed(heard: list[object]) -> None:
    assert run("messaging", "subscribers").out == "shop.bill  c*  queue default, ordered by key\n"
    registered.clear()
    assert "not in this release" in run("messaging", "subscribers").out
    (found,) = run("messaging", "subscribers", "--json").objects
    assert found | {"first_seen": "", "seen_at": ""} == {
        "name": "shop.bill",
        "channels": ["c*"],
        "backend": "default",
        "queue": "default",
        "ordered_by": "key",
        "deployed": False,
        "first_seen": "",
        "seen_at": "",
    }
    assert "is forgotten" in run("messaging", "subscribers", "--forget", "shop.bill").err
    ran = run("messaging", "subscribers", "--forget", "shop.bill")
    assert (ran.code, "no subscriber 'shop.bill'" in ran.err) == (1, True)
    assert "Nobody subscribes" in run("messaging", "subscribers").err


def test_events_are_brought_to_a_subscriber_once_more(heard: list[object]) -> None:
    relay_all()
    ran = run("messaging", "replay", "--to", "subscribers", "shop.bill", "--since", "0-0", "--dry-run")
    assert "2 tasks would be enqueued" in ran.err
    assert waiting_tasks() == []
    ran = run("messaging", "replay", "--since", "1h", "--to", "subscribers", "shop.bill")
    assert (ran.code, "2 tasks enqueued" in ran.err) == (0, True)
    run_tasks()
    assert heard == [1, 2, 1, 2]
    messaging.connection.client().delete(messaging.keys.log(0))
    ran = run("messaging", "replay", "--since", "0-0", "--channel", "c2", "--to", "subscribers", "shop.bill")
    assert "1 task enqueued, 1 of them from the table" in ran.err
    run_tasks()
    assert heard[-1:] == [2]
    assert len(heard) == 5
    assert Message.objects.using(messaging.conf.conf.DATABASE).count() == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("subscribers", "shop.nobody"), "There is no subscriber 'shop.nobody'; known are shop.bill"),
        (("table", "shop.bill"), "only subscribers have names"),
        (("nowhere",), "table or subscribers, not 'nowhere'"),
    ],
)
def test_a_wrong_destination_is_named(heard: list[object], words: tuple[str, ...], says: str) -> None:
    ran = run("messaging", "replay", "--since", "1h", "--to", *words)
    assert (ran.code, says in ran.err) == (2, True), ran.err
