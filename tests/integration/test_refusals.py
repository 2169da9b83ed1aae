"""Whatever error reply Redis gives, and whoever it is that gives it: each part says so, waits, and goes on."""

import asyncio
import itertools
from collections.abc import Iterator

import pytest
from pytest_django import Settings

import messaging
from messaging import BrokerFull, BrokerRefused, BrokerUnavailable, wire
from messaging.live import reader
from messaging.live.hub import Hub
from messaging.models import Gap
from tests.chaos.links import REFUSALS
from tests.chaos.proxy import Proxy
from tests.conftest import reset_clients
from tests.hub_client import HubClient, soon
from tests.integration.conftest import StartListener
from tests.integration.relaying import logged, stored
from tests.integration.test_listener import words
from tests.servers import TestServer
from tests.waiting import eventually

FOR_THE_CALLER = {
    "LOADING": BrokerUnavailable,
    "READONLY": BrokerRefused,
    "MASTERDOWN": BrokerUnavailable,
    "MISCONF": BrokerUnavailable,
    "NOREPLICAS": BrokerUnavailable,
    "OOM": BrokerFull,
    "BUSY": BrokerUnavailable,
    "NOAUTH": BrokerRefused,
    "WRONGPASS": BrokerRefused,
    "NOPERM": BrokerRefused,
    "CLUSTERDOWN": BrokerUnavailable,
    "TRYAGAIN": BrokerUnavailable,
    "MOVED": BrokerRefused,
    "UNBLOCKED": BrokerRefused,
    "ERR max number of clients": BrokerUnavailable,
    "ERR something": BrokerRefused,
}
AWAY = ("LOADING", "ERR max number")  # the listener's word for them; all others it calls a refusal


@pytest.fixture
def proxy(broker: TestServer, sqlite: str, settings: Settings) -> Iterator[Proxy]:
    """Between us and `broker`; `refusing` is what it says to everything."""
    made = Proxy(broker.port)
    settings.MESSAGING = settings.MESSAGING | {
        "URL": made.url, "OUTBOX_GRACE_SECONDS": 0.2, "LEASE_SECONDS": 1.0,
        "BREAKER_SECONDS": 0.01, "BREAKER_MAX_SECONDS": 0.02,
    }  # fmt: skip
    reset_clients()
    yield made
    reset_clients()
    made.close()


@pytest.fixture
def successor(broker: TestServer, proxy: Proxy) -> Iterator[TestServer]:
    """Another server, for `take_over`."""
    broker.client().config_set("repl-diskless-sync-delay", 0)
    made = TestServer(options={"repl-diskless-sync-delay": "0"})
    yield made
    broker.client().replicaof("NO", "ONE")
    made.remove()


def take_over(proxy: Proxy, broker: TestServer, successor: TestServer) -> None:
    """It becomes the master, the other its replica, and the address that everybody knows leads to it. Nobody cuts a
    connection: whoever is connected hears nothing of it, but that it must not write any more."""
    successor.client().replicaof("127.0.0.1", str(broker.port))
    eventually(
        lambda: successor.client().info("replication").get("master_link_status") == "up",
        message="the replica has caught up",
    )
    successor.client().replicaof("NO", "ONE")
    proxy.lead_to(successor.port)
    broker.client().replicaof("127.0.0.1", str(successor.port))


# -- every error reply -------------------------------------------------------------------------------------------


def test_each_reply_is_known() -> None:
    assert len(FOR_THE_CALLER) == len(REFUSALS)
    assert all(reply.startswith(word) for reply, word in zip(REFUSALS, FOR_THE_CALLER, strict=True))


@pytest.mark.parametrize("way", ["publish", "apublish"])
def test_the_caller_gets_to_know_it_and_the_next_call_succeeds(proxy: Proxy, way: str) -> None:
    def publish(n: int) -> object:
        return asyncio.run(messaging.apublish("c", n)) if way == "apublish" else messaging.publish("c", n)

    publish(0)
    for n, (reply, kind) in enumerate(zip(REFUSALS, FOR_THE_CALLER.values(), strict=True), 1):
        proxy.refusal, proxy.fault = reply, "refuse"
        with pytest.raises(messaging.BrokerError) as caught:
            publish(n)
        assert type(caught.value) is kind, reply
        proxy.fault = ""
        eventually(lambda: not wire.breaker.is_open)
        publish(n)
    assert logged() == list(range(len(REFUSALS) + 1))


def test_the_listener_waits_and_goes_on(
    proxy: Proxy,
    sqlite: str,
    broker: TestServer,
    start_listener: StartListener,
    caplog: pytest.LogCaptureFixture,
) -> None:
    running = start_listener(channels=["updates"], lists=["inbox"]).listener
    outside, numbers = broker.client(), itertools.count()
    for reply in REFUSALS:
        caplog.clear()
        proxy.refusal, proxy.fault = reply, "refuse"
        code = reply.partition(" ")[0]
        said = "Redis is away" if reply.startswith(AWAY) else f"Redis refuses ({code})"
        eventually(lambda said=said: any(each.startswith(said) for each in words(caplog)), message=said)
        number = next(numbers)
        outside.lpush("inbox", number)
        proxy.fault = ""
        eventually(lambda number=number: number in stored(sqlite), message=f"after {reply}")
        eventually(lambda: not running.report().failures, message=f"all parts go on after {reply}")
        assert not [each for each in words(caplog) if "unexpected" in each]
    assert stored(sqlite) == list(range(len(REFUSALS)))
    eventually(lambda: outside.publish("updates", "heard") and "heard" in stored(sqlite))
    assert not Gap.objects.using(sqlite).exists()


@pytest.mark.anyio
async def test_open_streams_wait_and_go_on(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "BLOCK_MS", 1000)
    monkeypatch.setattr(reader, "LONGEST_PAUSE", 0.1)
    hub = Hub()
    try:
        client = await HubClient(hub, "c").live()
        (tail,) = hub._tails
        for n, reply in enumerate(REFUSALS):
            proxy.refusal, proxy.fault = reply, "refuse"
            proxy.reset_all()
            await soon(lambda: tail.failure)
            proxy.fault = ""
            wire.reset()
            await asyncio.to_thread(messaging.publish, "c", n, outbox=False)
            await soon(lambda n=n: client.payloads[-1:] == [n])
            await soon(lambda: not tail.failure)
        assert client.payloads == list(range(len(REFUSALS)))
        said = {event.name for event in client.events} - {
            "source"
        }  # that Redis does not answer, if it took long
        assert said == {"hello", "live", "message"}
    finally:
        await hub.close()


# -- another master ----------------------------------------------------------------------------------------------


def test_listener_and_publisher_leave_a_master_that_was_demoted(
    proxy: Proxy, sqlite: str, broker: TestServer, successor: TestServer, start_listener: StartListener
) -> None:
    start_listener(channels=["updates"], lists=["inbox"])
    wire._idle.extend([wire._checkout(1.0) for _ in range(5)])
    messaging.publish("c", 1)
    eventually(lambda: stored(sqlite) == [1])
    take_over(proxy, broker, successor)
    with pytest.raises(BrokerRefused, match="read only replica"):
        messaging.publish("c", 0)
    for n in (10, 11):
        messaging.publish("c", n)
    outside = successor.client()
    eventually(lambda: outside.publish("updates", 2) and 2 in stored(sqlite))
    outside.lpush("inbox", 3)
    eventually(lambda: 3 in stored(sqlite))
    messaging.publish("c", 4, outbox=True)
    eventually(lambda: 4 in stored(sqlite))
    assert {1, 10, 11} < set(stored(sqlite))
    assert set(Gap.objects.using(sqlite).values_list("reason", flat=True)) == {"restarted"}


@pytest.mark.anyio
async def test_open_streams_follow_to_the_new_master(
    proxy: Proxy, broker: TestServer, successor: TestServer
) -> None:
    hub = Hub()
    try:
        client = await HubClient(hub, "c").live()
        await asyncio.to_thread(messaging.publish, "c", 1)
        await asyncio.to_thread(take_over, proxy, broker, successor)
        wire.reset()
        await asyncio.to_thread(messaging.publish, "c", 2)
        await soon(lambda: client.payloads == [1, 2], 30)
    finally:
        await hub.close()
