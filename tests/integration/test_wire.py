"""A publish and a server in trouble: what the caller gets to know, what it costs, and that it is over afterwards."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis
from asgiref.sync import async_to_sync
from pytest_django import Settings

import messaging
from messaging import BrokerFull, BrokerRefused, BrokerUnavailable, connection, log, wire
from messaging.errors import BrokerError
from messaging.event import Event
from tests.processes import ROOT, plain_environment
from tests.servers import TestServer
from tests.waiting import eventually

PING = b"*1\r\n$4\r\nPING\r\n"

Publish = Callable[[int], Event]


@pytest.fixture(params=["publish", "apublish", "publish_many"])
def publish(request: pytest.FixtureRequest) -> Publish:
    """Publishes a number, in one of the three ways."""

    def asynchronously(n: int) -> Event:
        return asyncio.run(messaging.apublish("c", n, outbox=False))

    ways: dict[str, Publish] = {
        "publish": lambda n: messaging.publish("c", n, outbox=False),
        "apublish": asynchronously,
        "publish_many": lambda n: messaging.publish_many([("c", n)], outbox=False)[0],
    }
    return ways[request.param]


def stored() -> list[object]:
    entries = log.between(connection.client(), 0, log.START, None, count=10_000)
    return [entry.event().data for entry in entries]


# -- error replies -----------------------------------------------------------------------------------------------


@contextmanager
def readonly(server: TestServer) -> Iterator[None]:
    admin = server.client()
    admin.replicaof("127.0.0.1", "1")
    try:
        yield
    finally:
        admin.replicaof("NO", "ONE")


@contextmanager
def out_of_memory(server: TestServer) -> Iterator[None]:
    admin = server.client()
    admin.config_set("maxmemory", 1)
    try:
        yield
    finally:
        admin.config_set("maxmemory", 0)


@contextmanager
def unable_to_save(server: TestServer) -> Iterator[None]:
    """Its last snapshot failed: by default it takes no writes then."""
    admin = server.client()
    admin.mset({f"key{n}": "x" for n in range(100)})
    admin.config_set("save", "3600 1")
    admin.config_set("rdb-key-save-delay", 100_000)
    admin.bgsave()
    for child in eventually(lambda: children(server.pid), message="a child that saves"):
        os.kill(child, signal.SIGKILL)
    eventually(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "err")
    try:
        yield
    finally:
        admin.config_set("save", "")
        admin.config_set("rdb-key-save-delay", 0)
        admin.delete(*(f"key{n}" for n in range(100)))
        admin.bgsave()
        eventually(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "ok")


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def busy(server: TestServer) -> Iterator[None]:
    """Some script runs for long."""
    admin = server.client()
    admin.config_set("busy-reply-threshold", 1)
    other = server.client()
    endless = threading.Thread(target=_run_endless, args=[other])
    endless.start()
    eventually(lambda: _says(admin, "BUSY"))
    try:
        yield
    finally:
        admin.script_kill()
        endless.join(10)
        admin.config_set("busy-reply-threshold", 5000)


def _run_endless(client: redis.Redis) -> None:
    with suppress(redis.ResponseError):
        client.eval("while true do end", 0)


def _says(client: redis.Redis, word: str) -> bool:
    try:
        client.ping()
    except redis.RedisError as error:
        return str(error).startswith(word)
    return False


@pytest.mark.parametrize(
    ("trouble", "kind", "said"),
    [
        (readonly, BrokerRefused, "read only replica"),
        (out_of_memory, BrokerFull, "maxmemory"),
        (unable_to_save, BrokerUnavailable, "MISCONF"),
        (busy, BrokerUnavailable, "BUSY"),
    ],
    ids=["READONLY", "OOM", "MISCONF", "BUSY"],
)
def test_an_error_reply_is_told_by_its_meaning_and_is_over_when_it_is_over(
    any_broker: TestServer,
    publish: Publish,
    trouble: Callable[[TestServer], "contextmanager[None]"],  # type: ignore[valid-type]
    kind: type[BrokerError],
    said: str,
) -> None:
    publish(1)
    with trouble(any_broker):  # type: ignore[attr-defined]
        with pytest.raises(kind, match=said) as caught:
            publish(2)
        assert not getattr(caught.value, "maybe_sent", False)
        assert not wire.breaker.is_open  # it answers: that costs nothing
    publish(3)
    assert stored() == [1, 3]


def test_a_server_that_forgot_the_script_is_sent_it_again(any_broker: TestServer, publish: Publish) -> None:
    publish(1)
    any_broker.client().script_flush()
    publish(2)
    assert stored() == [1, 2]


class Stub(threading.Thread):
    """A server that says the same to everyone."""

    def __init__(self, reply: bytes) -> None:
        super().__init__(daemon=True)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.listening.getsockname()[1]}/0"
        self._reply = reply
        self.connections: list[socket.socket] = []

    def run(self) -> None:
        with suppress(OSError):
            while True:
                self.connections.append(self.listening.accept()[0])
                threading.Thread(target=self._serve, args=[self.connections[-1]], daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        with suppress(OSError):
            while accepted.recv(65536):
                accepted.sendall(self._reply)

    def close(self) -> None:
        for each in self.connections:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        with suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.join(5)


@pytest.fixture
def stub(settings: Settings) -> Iterator[Callable[[bytes], Stub]]:
    started: list[Stub] = []

    def start(reply: bytes) -> Stub:
        made = Stub(reply)
        made.start()
        started.append(made)
        settings.MESSAGING = settings.MESSAGING | {"URL": made.url, "PUBLISH_BUDGET": 0.3}
        wire.reset()
        connection.reset()
        return made

    yield start
    wire.reset()
    connection.reset()
    for each in started:
        each.close()


def test_a_server_that_loads_its_data_is_unavailable_and_nothing_was_sent(
    stub: Callable[[bytes], Stub], publish: Publish
) -> None:
    stub(b"-LOADING Redis is loading the dataset in memory\r\n")
    with pytest.raises(BrokerUnavailable, match="loading the dataset") as caught:
        publish(1)
    assert not caught.value.maybe_sent
    with pytest.raises(BrokerUnavailable, match="left alone"):
        publish(2)


@pytest.mark.parametrize("reply", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\xff\r\n"])
def test_something_that_is_no_redis_is_unavailable(
    stub: Callable[[bytes], Stub], publish: Publish, reply: bytes
) -> None:
    stub(reply)
    with pytest.raises(BrokerUnavailable):
        publish(1)


def test_a_connection_cut_before_the_reply_leaves_open_whether_it_was_sent(
    stub: Callable[[bytes], Stub], publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stub, "_serve", lambda self, accepted: (accepted.recv(65536), accepted.close()))
    stub(b"")
    with pytest.raises(BrokerUnavailable) as caught:
        publish(1)
    assert caught.value.maybe_sent


def test_nobody_there_is_told_at_once(settings: Settings, publish: Publish, short_directory: Path) -> None:
    settings.MESSAGING = {"URL": f"unix://{short_directory}/nobody.sock?db=0"}
    wire.reset()
    with pytest.raises(BrokerUnavailable, match=r"nobody\.sock") as caught:
        publish(1)
    assert not caught.value.maybe_sent
    wire.reset()


# -- rights ------------------------------------------------------------------------------------------------------


@pytest.fixture
def user(any_broker: TestServer, settings: Settings) -> Iterator[Callable[..., None]]:
    """`user("+@all", "~*")`: publish as a user with these rights."""
    admin = any_broker.client()

    def make(*rights: str, password: str = "secret") -> None:  # noqa: S107
        admin.execute_command("ACL", "SETUSER", "shop", "reset", "on", ">secret", *rights)
        url = any_broker.tcp_url.replace("redis://", f"redis://shop:{password}@")
        settings.MESSAGING = settings.MESSAGING | {"URL": url}
        wire.reset()
        connection.reset()

    yield make
    admin.execute_command("ACL", "DELUSER", "shop")


def test_without_rights_on_channels_the_log_is_kept_and_it_is_counted_and_warned_of_once(
    user: Callable[..., None], any_broker: TestServer, publish: Publish, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    user("+@all", "~*", "resetchannels")
    monkeypatch.setattr(log, "refused_publishes", 0)
    with caplog.at_level(logging.WARNING, "messaging.publish"):
        assert publish(1).location
        publish(2)
    assert log.refused_publishes == 2
    assert [record.getMessage() for record in caplog.records] == [
        "Redis refuses PUBLISH to this user (ACL): messages reach the log, but no Pub/Sub subscriber"
    ]
    assert any_broker.client().xlen("messaging:{0}:log") == 2


@pytest.mark.parametrize(
    ("rights", "said"),
    [
        (("+@all", "~other:*", "&*"), "permission|can't access"),
        (("+@all", "-@scripting", "~*", "&*"), "evalsha"),
        (("+@all", "-xadd", "~*", "&*"), "xadd|permission|can't run"),
    ],
    ids=["keys", "scripts", "streams"],
)
def test_without_rights_on_the_log_the_error_is_clear(
    user: Callable[..., None], publish: Publish, rights: tuple[str, ...], said: str
) -> None:
    user(*rights)
    for _ in range(2):
        with pytest.raises(BrokerRefused, match=f"(?i){said}"):
            publish(1)
    assert not wire.breaker.is_open


def test_a_wrong_password_is_refused_and_not_shown(user: Callable[..., None], publish: Publish) -> None:
    user("+@all", "~*", "&*", password="wrong-one")
    for _ in range(2):
        with pytest.raises(BrokerRefused, match="invalid username-password") as caught:
            publish(1)
        assert "wrong-one" not in str(caught.value)


def test_no_password_where_one_is_needed_is_refused(any_broker: TestServer, publish: Publish) -> None:
    admin = any_broker.client()
    publish(0)
    admin.config_set("requirepass", "secret")
    wire.reset()
    try:
        with pytest.raises(BrokerRefused, match="Authentication required"):
            publish(1)
    finally:
        admin.config_set("requirepass", "")


def test_a_database_number_that_does_not_exist_is_told(
    any_broker: TestServer, settings: Settings, publish: Publish
) -> None:
    settings.MESSAGING = {"URL": any_broker.url.replace("db=0", "db=99")}
    wire.reset()
    with pytest.raises(BrokerError, match=r"(?i)invalid database|out of range"):
        publish(1)
    wire.reset()


# -- silence -----------------------------------------------------------------------------------------------------


def test_a_stalled_server_costs_50_threads_one_budget_each_and_then_nothing(
    broker: TestServer, settings: Settings
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"PUBLISH_BUDGET": 0.5, "BREAKER_SECONDS": 5.0}
    messaging.publish("c", "before")

    def attempt(n: int) -> tuple[float, Exception | None]:
        began = time.monotonic()
        try:
            messaging.publish("c", n)
        except Exception as error:
            return time.monotonic() - began, error
        return time.monotonic() - began, None

    broker.signal(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(50) as pool:
            results = list(pool.map(attempt, range(50)))
            assert {type(error) for _, error in results} == {BrokerUnavailable}
            assert max(seconds for seconds, _ in results) < 50 * 0.5 / 2  # together, not one after the other
            assert wire.breaker.is_open
            again = [attempt(n) for n in range(100)]
        refused = [error for _, error in again if "left alone" in str(error)]
        assert len(refused) >= 97  # some may have tried for all
    finally:
        broker.signal(signal.SIGCONT)
    eventually(lambda: attempt(50)[1] is None, message="publishing works again")
    assert stored()[0] == "before"
    assert stored().count(50) == 1


def test_a_stalled_server_costs_a_coroutine_one_budget(broker: TestServer, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"PUBLISH_BUDGET": 0.5}

    async def attempts() -> list[object]:
        await messaging.apublish("c", 0, outbox=False)
        broker.signal(signal.SIGSTOP)
        return await asyncio.gather(
            *(messaging.apublish("c", n, outbox=False) for n in range(50)), return_exceptions=True
        )

    began = time.monotonic()
    try:
        results = asyncio.run(attempts())
    finally:
        broker.signal(signal.SIGCONT)
    assert time.monotonic() - began < 50 * 0.5  # together, not one after the other
    assert {type(result) for result in results} == {BrokerUnavailable}
    assert "no answer within 0.5 s" in str(results[0])


def test_a_server_that_accepts_and_never_answers_costs_one_budget(
    settings: Settings, publish: Publish
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for database in (0, 3):  # 3: it is asked to SELECT as part of connecting
            settings.MESSAGING = {
                "URL": f"redis://127.0.0.1:{silent.getsockname()[1]}/{database}",
                "PUBLISH_BUDGET": 0.3,
            }
            wire.reset()
            with pytest.raises(BrokerUnavailable) as caught:
                publish(1)  # which would otherwise wait for ever
            assert caught.value.maybe_sent is (database == 0)
    wire.reset()


def test_a_cancelled_publish_leaves_no_reply_for_the_next(broker: TestServer) -> None:
    async def main() -> Event:
        await messaging.apublish("c", 0, outbox=False)
        broker.signal(signal.SIGSTOP)
        task = asyncio.create_task(messaging.apublish("c", 1, outbox=False))
        await asyncio.sleep(0.05)  # it waits for its reply
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        broker.signal(signal.SIGCONT)
        return await messaging.apublish("c", 2, outbox=False)

    event = asyncio.run(main())
    assert not wire.breaker.is_open
    assert log.newest(connection.client(), 0, count=1)[0].location == event.location


# -- connections -------------------------------------------------------------------------------------------------


def test_a_restarted_server_is_used_again_without_an_error(broker: TestServer, publish: Publish) -> None:
    publish(1)
    broker.restart()
    publish(2)
    assert stored() == [1, 2]


def test_there_is_no_end_to_new_connections(broker: TestServer) -> None:
    messaging.publish("c", 0)
    with broker.connect(broker.socket) as client:
        for n in range(1, 151):  # a process that lives long enough loses its connection as often
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            messaging.publish("c", n)
    assert stored() == list(range(151))


def test_idle_connections_are_used_again(broker: TestServer) -> None:
    messaging.publish("c", 0)
    before = broker.client().info("stats")["total_connections_received"]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: messaging.publish("c", n), range(200)))
    assert broker.client().info("stats")["total_connections_received"] - before <= 6


def test_every_event_loop_has_its_own_connections_and_takes_them_with_it(broker: TestServer) -> None:
    clients = broker.client()

    async def some() -> None:
        await asyncio.gather(*(messaging.apublish("c", n, outbox=False) for n in range(5)))

    for _ in range(3):
        asyncio.run(some())
    async_to_sync(some)()
    assert len(stored()) == 20
    eventually(lambda: len(clients.client_list()) <= 3, message="no connection of an event loop is left")
    assert not wire._of_loop


def test_a_forked_child_makes_its_own_connections_and_leaves_those_of_its_parent(broker: TestServer) -> None:
    messaging.publish("c", "parent")
    child = os.fork()
    if not child:
        status = 1
        with suppress(BaseException):
            messaging.publish("c", "child")
            asyncio.run(messaging.apublish("c", "child, too", outbox=False))
            status = 0
        os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    messaging.publish("c", "parent again")
    assert stored() == ["parent", "child", "child, too", "parent again"]


LEAVES_NOTHING_OPEN = """
import asyncio, gc, os, threading
import django
django.setup()
import messaging

async def some():
    asyncio.get_running_loop().slow_callback_duration = 60  # a machine that is slow is told of otherwise
    await asyncio.gather(*(messaging.apublish("c", n) for n in range(5)))

messaging.publish("c", 1)
asyncio.run(some())
asyncio.run(some())
thread = threading.Thread(target=messaging.publish, args=["c", 2])
thread.start()
thread.join()
if not os.fork():
    messaging.publish("c", 3)
    asyncio.run(some())
    raise SystemExit
os.wait()
messaging.publish("c", 4)
gc.collect()
"""


def test_a_process_that_publishes_leaves_nothing_open(broker: TestServer, tmp_path: Path) -> None:
    """Under -W error and in development mode an unclosed socket would be told on stderr."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", LEAVES_NOTHING_OPEN],
        env=plain_environment(
            DJANGO_SETTINGS_MODULE="broker_site.settings", REDIS_URL=broker.url, VAR_DIR=str(tmp_path)
        ),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(stored()) == 19


def test_what_is_to_be_done_meanwhile_is_done_before_the_answer_is_read(broker: TestServer) -> None:
    done: list[str] = []
    assert wire.call(PING, meanwhile=lambda: done.append("meanwhile")) == b"PONG"
    assert done == ["meanwhile"]


def test_what_fails_meanwhile_leaves_no_answer_for_somebody_else(broker: TestServer) -> None:
    with pytest.raises(ZeroDivisionError):
        wire.call(PING, meanwhile=lambda: 1 / 0)
    assert wire.call(b"*2\r\n$4\r\nECHO\r\n$3\r\nown\r\n") == b"own"
