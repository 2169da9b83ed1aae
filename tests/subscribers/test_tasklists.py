"""Foreign lists whose items become calls of a task: first in, first out, none lost, none twice."""

import threading
from collections.abc import Iterator

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from messaging import connection, keys, tasklists
from messaging.errors import Misconfigured
from messaging.tasklists import TaskList, argument_of
from messaging.testing import run_tasks, waiting_tasks
from tests.servers import TestServer
from tests.subscribers import shop

SEND = "tests.subscribers.shop.send"


@pytest.fixture(autouse=True)
def quick(subscribing: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(tasklists, "WAIT_SECONDS", 0.01)
    shop.calls.clear()
    yield
    connection.client().delete("emails")


def new_list(path: str = SEND) -> TaskList:
    return TaskList(connection.client(), "emails", path)


def step(tasks: TaskList) -> None:
    tasks.step(threading.Event())


def test_items_become_calls_in_the_order_in_which_they_were_pushed(broker: TestServer) -> None:
    client = broker.client()
    for item in ("task1", '{"to": "ann"}', "[1, 2]", "3", "nö", b"\xff\xfe", "3"):
        client.lpush("emails", item)
    step(new_list())
    assert client.exists("emails", keys.taken("emails")) == 0
    assert all(ran.succeeded for ran in run_tasks())
    expected = ["task1", {"to": "ann"}, [1, 2], 3, "nö", {"data_base64": "//4="}, 3]
    assert [mail for _, mail in shop.calls] == expected


def test_a_key_with_a_nul_holds_up_nobody(broker: TestServer) -> None:
    broker.client().lpush("emails", '{"to": "a\\u0000b"}', '{"to": "ann"}')
    step(new_list("tests.subscribers.shop.send_in_turn"))
    assert [each.job.order_key for each in waiting_tasks()] == [
        "tests.subscribers.shop.send_in_turn:a\\0b",
        "tests.subscribers.shop.send_in_turn:ann",
    ]


def test_more_than_one_batch_keeps_the_order(broker: TestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasklists, "BATCH", 7)
    monkeypatch.setattr(tasklists, "BATCH_BYTES", 30)
    broker.client().lpush("emails", *(f"item {n}" for n in range(50)))
    step(new_list())
    run_tasks()
    assert [mail for _, mail in shop.calls] == [f"item {n}" for n in range(50)]


@pytest.mark.parametrize("point", ["enqueue", "hdel"])
def test_whoever_dies_on_the_way_loses_and_repeats_nothing(
    broker: TestServer, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """Before the queue has them, or before they have left the hash."""
    broker.client().lpush("emails", *range(5))
    tasks = new_list()

    def dies(*_: object) -> None:
        raise RedisConnectionError("killed")

    with monkeypatch.context() as patch:
        if point == "enqueue":
            patch.setattr(tasklists.Queue, "enqueue", dies)
        else:
            patch.setattr(tasks._client, "hdel", dies)
        with pytest.raises(RedisConnectionError):
            step(tasks)
    assert broker.client().hlen(keys.taken("emails")) == 5
    done = run_tasks()
    broker.client().lpush("emails", 5)
    step(new_list())
    done += run_tasks()
    assert [mail for _, mail in shop.calls] == [0, 1, 2, 3, 4, 5]
    assert len({ran.id for ran in done}) == 6


def test_two_listeners_that_overlap_repeat_nothing(broker: TestServer) -> None:
    broker.client().lpush("emails", *range(300))
    threads = [threading.Thread(target=step, args=(new_list(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run_tasks()
    assert sorted(mail for _, mail in shop.calls) == list(range(300))


def test_while_there_is_no_such_task_the_items_stay_in_the_list(broker: TestServer) -> None:
    broker.client().lpush("emails", "x")
    for path in ("tests.subscribers.shop.nothing", "tests.subscribers.shop.no_task"):
        with pytest.raises(Misconfigured, match=r"TASK_LISTS'\]\['emails'\]"):
            step(new_list(path))
    assert broker.client().llen("emails") == 1
    assert waiting_tasks() == []


def test_an_item_larger_than_an_argument_may_be_is_taken_all_the_same(broker: TestServer) -> None:
    broker.client().lpush("emails", "x" * 1_000_000)
    step(new_list())
    run_tasks()
    ((_, mail),) = shop.calls
    assert len(mail) == 1_000_000


def test_json_that_no_argument_can_be_comes_as_its_text() -> None:
    assert argument_of(b"9" * 5000) == "9" * 5000


@pytest.mark.parametrize(("name", "slot_of"), [("emails", "{emails}"), ("a{b}c", "a{b}c"), ("{}x", "{{}x}")])
def test_what_was_taken_lies_in_the_slot_of_its_list(name: str, slot_of: str) -> None:
    assert keys.taken(name).startswith(f"{slot_of}:")
