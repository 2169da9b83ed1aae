"""DURABILITY: what a queue asks for is confirmed before ``enqueue()`` returns, or said not to be; on real servers."""

import asyncio
import signal
from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from messaging.errors import BrokerRefused, InvalidOption, Misconfigured, NotDurable
from messaging.taskqueue import RedisTaskBackend
from messaging.taskqueue.durability import Level, parse
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.seam import task_backends, task_enqueued
from tests.conftest import reset_clients
from tests.servers import TestServer
from tests.taskqueue import jobs
from tests.waiting import eventually

BACKEND = "messaging.taskqueue.RedisTaskBackend"
Asking = Callable[..., RedisTaskBackend]


@pytest.fixture
def asking(settings: Settings) -> Iterator[Asking]:
    """`asking(server, "fsync", seconds=30)`: the default backend on an empty server, whose queues ask for that."""
    changed: list[TestServer] = []

    def make(server: TestServer, level: str, *, seconds: float = 30.0) -> RedisTaskBackend:
        server.revive()
        server.client().config_set("appendfsync", "always")
        server.client().config_set("repl-diskless-sync-delay", 0)
        changed.append(server)
        settings.MESSAGING = settings.MESSAGING | {"URL": server.tcp_url}
        options = {"DURABILITY": {"default": level}, "DURABILITY_SECONDS": seconds}
        settings.TASKS = {"default": {"BACKEND": BACKEND, "QUEUES": [], "OPTIONS": options}}
        reset_clients()
        made: RedisTaskBackend = task_backends["default"]
        return made

    yield make
    for server in changed:
        server.client().config_set("appendfsync", "everysec")
        server.client().config_set("appendonly", "yes")
        server.close_clients()
    reset_clients()


def queued(backend: RedisTaskBackend) -> int:
    return backend.queue("default").counts().ready


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("memory", Level()),
        ("fsync", Level(fsync=True)),
        ("replicas", Level(replicas=1)),
        ("replicas=3", Level(replicas=3)),
        ("fsync+replicas=2", Level(fsync=True, replicas=2)),
    ],
)
def test_a_level_is_what_it_says(text: str, level: Level) -> None:
    assert parse(text) == level
    assert str(level) == text


@pytest.mark.parametrize("text", ["", "disk", "replicas=0", "replicas=x", "memory+fsync", "fsync=1", None, 7])
def test_what_is_no_level_is_named(text: object) -> None:
    with pytest.raises(InvalidOption, match="a durability is"):
        parse(text)


def test_the_settings_are_checked(settings: Settings) -> None:
    options = {"DURABILITY": {"payments": "disc"}}
    settings.TASKS = {"default": {"BACKEND": BACKEND, "OPTIONS": options}}
    backend: RedisTaskBackend = task_backends["default"]
    assert [each.id for each in backend.check()] == ["messaging.E101"]
    with pytest.raises(Misconfigured, match=r"DURABILITY.*payments.*disc"):
        assert backend.defaults


def test_on_disk(valkey_server: TestServer, asking: Asking) -> None:
    backend = asking(valkey_server, "fsync")
    result = backend.enqueue(jobs.add, (1, 2), {})
    assert backend.get_result(result.id) == result
    assert asyncio.run(backend.aenqueue(jobs.add, (1, 2), {})).id != result.id
    assert len(jobs.add.enqueue_many([(n, 1) for n in range(501)])) == 501
    assert queued(backend) == 503


@pytest.mark.redis7
def test_a_server_that_cannot_is_told_from_one_that_is_late(
    redis7_server: TestServer, valkey_server: TestServer, asking: Asking
) -> None:
    """Nothing is enqueued: before 7.2 there is no WAITAOF; later ones refuse it without an append-only file."""
    for server, why in ((redis7_server, "unknown command"), (valkey_server, "appendonly is disabled")):
        backend = asking(server, "fsync")
        server.client().config_set("appendonly", "no")
        with pytest.raises(BrokerRefused, match=f"nothing was enqueued.*{why}.*from 7.2 on"):
            backend.enqueue(jobs.add, (1, 2), {})
        with pytest.raises(BrokerRefused, match=f"nothing was enqueued.*{why}.*from 7.2 on"):
            asyncio.run(backend.aenqueue(jobs.add, (1, 2), {}))
        assert queued(backend) == 0


@pytest.mark.redis7
def test_nobody_is_there_to_confirm(redis7_server: TestServer, asking: Asking) -> None:
    """The task is there all the same, its signal was sent, and the exception has its result."""
    heard: list[str] = []

    def hear(task_result: object, **kwargs: object) -> None:
        heard.append(task_result.id)  # type: ignore[attr-defined]

    backend = asking(redis7_server, "replicas", seconds=0.05)
    task_enqueued.connect(hear, sender=RedisTaskBackend)
    try:
        with pytest.raises(
            NotDurable, match=r"in the memory of 0 of 1 replicas.*do not enqueue it again"
        ) as told:
            backend.enqueue(jobs.add, (1, 2), {})
        with pytest.raises(NotDurable):
            asyncio.run(backend.aenqueue(jobs.add, (3, 4), {}))
    finally:
        task_enqueued.disconnect(hear, sender=RedisTaskBackend)
    assert told.value.queues == ["default"]
    assert [each.id for each in told.value.enqueued] == heard[:1]
    assert queued(backend) == len(heard) == 2


def test_on_a_replica_and_what_a_fail_over_keeps(valkey_server: TestServer, asking: Asking) -> None:
    backend = asking(valkey_server, "fsync+replicas")
    replica = TestServer(
        options={
            "replicaof": f"127.0.0.1 {valkey_server.port}",
            "appendfsync": "always",
        }
    )
    try:
        backend.enqueue(jobs.add, (1, 2), {})  # waits for the replica to come
        replica.signal(signal.SIGSTOP)
        late = asking(valkey_server, "fsync+replicas", seconds=0.05)  # which empties the server
        with pytest.raises(NotDurable, match="on the disk of 0 of 1 replicas"):
            late.enqueue(jobs.add, (1, 2), {})
        assert queued(late) == 1
        replica.signal(signal.SIGCONT)
        safe = asking(valkey_server, "fsync+replicas").enqueue(jobs.add, (5, 6), {})
        valkey_server.kill()
        replica.client().execute_command("REPLICAOF", "NO", "ONE")
        eventually(lambda: replica.client().info("replication")["role"] == "master", message="promoted")
        promoted = Queue(replica.client(), backend.alias, "default")
        assert promoted.get(safe.id) is not None
    finally:
        replica.remove()
        valkey_server.revive()
