"""What users' tests do with `messaging.testing`: this file uses it as they would, without a server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from asgiref.sync import async_to_sync
from django.db import transaction
from django.test import TestCase
from pytest_django import Settings

import messaging
from messaging import Event, apublish, publish, publish_many, subscribe
from messaging.errors import InvalidChannel, PayloadRefused, UnsupportedValue
from messaging.models import Message, PendingTask
from messaging.taskqueue import enqueue_many
from messaging.taskqueue.job import Retry
from messaging.testing import (
    Captured,
    EnqueuedTasks,
    captured,
    captured_tasks,
    deliver,
    memory_broker,
    run_tasks,
    waiting_tasks,
)
from messaging.testing.plugin import memory_broker as memory_broker_fixture
from messaging.testing.plugin import published, tasks
from tests.subscribers import shop
from tests.subscribers.conftest import TASKS, empty_registry

__all__ = ["empty_registry", "memory_broker_fixture", "published", "tasks"]

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _our_backend(settings: Settings) -> None:
    settings.TASKS = TASKS
    shop.calls.clear()


# -- published


def test_what_is_published_is_kept_and_nothing_leaves(published: Captured) -> None:
    event = publish("orders.created", {"id": 1}, key="ann")
    publish_many([("metrics", 1), ("metrics", 2)])
    async_to_sync(apublish)("orders.paid", {"id": 1})
    assert published[0] is event
    assert (event.key, event.location) == ("ann", None)
    assert published.data() == [{"id": 1}, 1, 2, {"id": 1}]
    assert published.data("orders.*") == [{"id": 1}] * 2
    assert [each.channel for each in published.of("orders.*")] == ["orders.created", "orders.paid"]
    assert len(published) == 4
    published.clear()
    assert published == []
    with pytest.raises(InvalidChannel):
        publish("no blanks", 1)


@pytest.mark.django_db
def test_what_was_rolled_back_was_not_published(published: Captured) -> None:
    with transaction.atomic():
        publish("c", "stays")
        with transaction.atomic():
            publish("c", "goes")
            transaction.set_rollback(True)
    publish("c", "too", outbox=True)
    assert published.data() == ["stays", "too"]
    assert not Message.objects.exists()


class TestWithoutPytest(TestCase):
    def test_the_context_managers_do_the_same(self) -> None:
        with captured() as messages, captured_tasks() as calls:
            publish("c", 1)
            shop.send.enqueue("ann")
        assert messages.data() == [1]
        assert calls[0].args == ["ann"]
        with self.captureOnCommitCallbacks(execute=True), captured() as messages:
            publish("c", 2)
        assert messages.data() == [2]


# -- subscribers


def test_subscribers_are_called_as_a_worker_would(empty_registry: None, published: Captured) -> None:
    seen: list[object] = []

    def on_order(order: dict[str, int], event: Event) -> None:
        seen.append((order, event.channel))
        publish("orders.seen", order)

    async def on_anything(event: Event) -> None:
        seen.append(event.channel)

    subscribe("orders.created", name="shop.on_order")(on_order)
    subscribe("*", name="shop.on_anything")(on_anything)
    assert deliver("orders.created", {"id": 1}) == ["shop.on_order", "shop.on_anything"]
    assert published.deliver() == ["shop.on_anything"]
    assert seen == [({"id": 1}, "orders.created"), "orders.created", "orders.seen"]
    with pytest.raises(PayloadRefused, match=r"at `\$\[\.\.\.\]`"):
        deliver("orders.created", {"id": "one"})


# -- tasks


def test_what_is_enqueued_is_kept_and_runs_when_the_test_says_so(tasks: EnqueuedTasks) -> None:
    result = shop.send.enqueue({"to": "ann"})
    async_to_sync(shop.acall.aenqueue)(5)
    enqueue_many([(shop.report, ["monday"], {"copies": 2})])
    assert [each.name.rpartition(".")[2] for each in tasks] == ["send", "acall", "report"]
    assert tasks.of(shop.report)[0].kwargs == {"copies": 2}
    assert tasks[0].result == result
    assert shop.calls == []
    assert tasks.run() == ["sent", 5, None]
    assert [name for name, *_ in shop.calls] == ["send", "acall", "report"]
    assert tasks == []
    with pytest.raises(UnsupportedValue):
        shop.send.enqueue(object())


@pytest.mark.django_db
def test_a_task_of_a_transaction_that_was_rolled_back_was_not_enqueued(
    tasks: EnqueuedTasks, settings: Settings
) -> None:
    settings.TASKS = {"default": TASKS["default"] | {"OPTIONS": {"ENQUEUE_ON_COMMIT": True}}}
    with transaction.atomic():
        shop.send.enqueue("goes")
        transaction.set_rollback(True)
    shop.send.enqueue("stays")
    assert [each.args for each in tasks] == [["stays"]]
    assert not PendingTask.objects.exists()


# -- the broker


@pytest.fixture
def broker_in_memory() -> Iterator[redis.Redis]:
    with memory_broker() as client:
        yield client


def test_a_broker_in_memory_takes_messages_and_runs_tasks(broker_in_memory: redis.Redis) -> None:
    assert publish("c", 1, outbox=False).location
    result = shop.send.enqueue("ann")
    async_to_sync(shop.acall.aenqueue)(5)
    assert [(each.task.rpartition(".")[2], each.args) for each in waiting_tasks()] == [
        ("send", ["ann"]),
        ("acall", [5]),
    ]
    assert [ran.return_value for ran in run_tasks()] == ["sent", 5]
    result.refresh()
    assert result.return_value == "sent"


def test_retries_are_run_too_when_asked_for(broker_in_memory: redis.Redis) -> None:
    shop.fail.using(backoff=3600).enqueue(1)
    (first,) = run_tasks()
    assert isinstance(first.outcome, Retry)
    assert "OSError: not yet" in first.error
    assert run_tasks() == []
    (second,) = run_tasks(delayed=True)
    assert (second.succeeded, second.error) == (True, "")


@pytest.mark.django_db
def test_inside_a_test_case_tasks_that_wait_for_the_commit_run_all_the_same(
    broker_in_memory: redis.Redis, settings: Settings
) -> None:
    settings.TASKS = {"default": TASKS["default"] | {"OPTIONS": {"ENQUEUE_ON_COMMIT": True}}}
    shop.send.enqueue("ann")
    assert [each.args for each in waiting_tasks()] == [["ann"]]
    (ran,) = run_tasks()
    assert ran.args == ["ann"]
    assert run_tasks() == []


def test_each_broker_is_empty_and_the_settings_are_put_back() -> None:
    before = messaging.conf.conf.URL
    for _ in range(2):
        with memory_broker(PARTITIONS=2) as client:
            assert client.dbsize() == 0
            publish("c", 1, outbox=False)
    assert before == messaging.conf.conf.URL


def test_a_task_that_enqueues_itself_for_ever_is_said_to(broker_in_memory: redis.Redis) -> None:
    shop.send.enqueue(1)
    shop.send.enqueue(2)
    with pytest.raises(AssertionError, match="there are still more"):
        run_tasks(most=1)


def test_the_readme_shows_names_that_are_there() -> None:
    text = (ROOT / "README.md").read_text().split("## Your own tests", 1)[1].split("\n## ", 1)[0]
    assert "messaging.testing.plugin" in text
    for name in ("captured", "captured_tasks", "deliver", "memory_broker", "run_tasks"):
        assert name in text, name
