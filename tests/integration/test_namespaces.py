"""I10: every Redis name carries the namespace, and what one script touches lies in one slot of a cluster."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from django.db import transaction
from pytest_django import Settings

import messaging
from messaging import connection, keys, scripts
from messaging.conf import conf
from messaging.lease import Lease, beat
from messaging.taskqueue.job import NewJob, new_id
from messaging.taskqueue.queue import Queue
from tests.conftest import reset_clients
from tests.integration.relaying import drain, logged, new_relay, pending, stored, sweep
from tests.servers import TestServer, cluster_node

ARGUMENTS: dict[str, Any] = {"int": 0, "str": "a"}
FUNCTIONS: dict[str, Callable[..., str | tuple[str, ...]]] = {
    name: each
    for name, each in vars(keys).items()
    if name[0] != "_"
    and inspect.isfunction(each)
    and each.__module__ == keys.__name__
    and each.__annotations__["return"] in ("str", "tuple[str, ...]")
}


def made(name: str) -> set[str]:
    """The keys or channels that a function of `messaging.keys` makes."""
    parameters = inspect.signature(FUNCTIONS[name]).parameters.values()
    found = FUNCTIONS[name](*(ARGUMENTS[each.annotation] for each in parameters))
    return set(found) if isinstance(found, tuple) else {found}


def enter(settings: Settings, namespace: str) -> None:
    settings.MESSAGING = settings.MESSAGING | {"NAMESPACE": namespace}
    reset_clients()


def new_job() -> NewJob:
    return NewJob(id=new_id("mails"), body=b"{}", task="shop.tasks.send")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_two_namespaces_have_no_name_in_common(name: str, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"NAMESPACE": "blue"}
    blue = made(name)
    settings.MESSAGING = settings.MESSAGING | {"NAMESPACE": "green"}
    assert blue.isdisjoint(made(name))


# -- two sites, one server ---------------------------------------------------------------------------------------


@pytest.fixture
def shared(valkey_server: TestServer, settings: Settings) -> Iterator[TestServer]:
    """Emptied before and after."""
    valkey_server.revive()
    settings.MESSAGING = settings.MESSAGING | {"URL": valkey_server.url}
    yield valkey_server
    reset_clients()
    valkey_server.revive()


def use(settings: Settings, namespace: str) -> None:
    """A site publishes a message with its own name, enqueues a task and takes the lease."""
    enter(settings, namespace)
    messaging.publish("c", namespace)
    Queue(connection.client(), "default", "mails").enqueue([new_job()])


def seen(settings: Settings, namespace: str) -> tuple[list[object], int, bool]:
    """What is in its log, how many tasks wait, and whether it gets the lease."""
    enter(settings, namespace)
    ready = Queue(connection.client(), "default", "mails").counts().ready
    return logged(), ready, Lease(connection.client()).hold()


def test_two_sites_on_one_server_see_nothing_of_each_other(shared: TestServer, settings: Settings) -> None:
    for site in ("blue", "green"):
        use(settings, site)
    assert [seen(settings, site) for site in ("blue", "green")] == [(["blue"], 1, True), (["green"], 1, True)]
    assert {bytes(key).lstrip(b"{").partition(b":")[0] for key in shared.client().scan_iter()} == {
        b"blue",
        b"green",
    }


@pytest.mark.parametrize(
    ("name", "mixed"),
    [
        ("log", [(["log-a", "log-b"], 1, True), (["log-a", "log-b"], 1, True)]),
        ("queue", [(["queue-a"], 2, True), (["queue-b"], 2, True)]),
        ("lease", [(["lease-a"], 1, True), (["lease-b"], 1, False)]),
    ],
)
def test_they_would_without_the_namespace(
    name: str, mixed: object, shared: TestServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The known-bad variants."""
    function = getattr(keys, name)

    def without(*arguments: Any) -> Any:
        found = function(*arguments)
        if isinstance(found, tuple):
            return tuple(each.replace(conf.NAMESPACE, "") for each in found)
        return found.replace(conf.NAMESPACE, "")

    monkeypatch.setattr(keys, name, without)
    sites = (f"{name}-a", f"{name}-b")  # new ones: calls that were packed before are kept by namespace
    for site in sites:
        use(settings, site)
    assert [seen(settings, site) for site in sites] == mixed


# -- a node of a cluster; what happens to tasks there is in tests/taskqueue/test_queue_steps.py -------------------


@pytest.fixture
def node(settings: Settings) -> Iterator[redis.Redis]:
    server = cluster_node()
    settings.MESSAGING = settings.MESSAGING | {"URL": server.url}
    reset_clients()
    yield server.client()
    reset_clients()
    server.remove()


@pytest.mark.parametrize("partitions", [1, 4])
def test_what_happens_to_messages_keeps_to_one_slot(
    partitions: int, node: redis.Redis, database: str, settings: Settings
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"PARTITIONS": partitions}
    lease = Lease(connection.client())
    assert lease.hold()
    lease.raise_fences()
    with transaction.atomic(database):
        messaging.publish("a", 1)
    messaging.publish_many([(channel, 2) for channel in "abcdef"])
    for partition in range(partitions):
        relay = new_relay(partition)
        sweep(drain(relay))
        drain(relay)
        scripts.trim(connection.client(), partition, keep=1, position=str(relay.position), crowded=100)
    assert (sorted(stored(database)), pending(database)) == ([1, *[2] * 6], [])
    assert scripts.advance(connection.client(), "each hour", 1)
    beat(connection.client(), b"{}")
    lease.release()


def test_the_node_refuses_what_does_not(node: redis.Redis) -> None:
    with pytest.raises(redis.ResponseError, match="slot"):
        node.eval("return redis.call('GET', KEYS[1])", 2, "{a}:x", "{b}:x")
