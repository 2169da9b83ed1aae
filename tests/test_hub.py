"""The parts that all streams of a process share: questions asked once, threads that hold nothing, signals, flushes."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.backends.db import SessionStore
from django.db import connections
from pytest_django import Settings

from messaging import publish
from messaging.frames import named
from messaging.live import access, losses, stopping
from messaging.live.filters import Filter
from messaging.live.hub import Hub
from messaging.live.link import Link
from messaging.live.reader import Reader
from messaging.live.threads import Resting, Threads
from messaging.publisher import publish_many
from tests.conftest import reset_clients
from tests.hub_client import HubClient, soon
from tests.servers import TestServer

pytestmark = pytest.mark.anyio


# -- the hub


def heard(client: HubClient) -> list[object]:
    """Messages by their payload, and what all were told, in the order of the stream."""
    return [
        event.data["event"]["data"] if event.name == "message" else event.name
        for event in client.events
        if event.name in ("message", "loss")
    ]


def sources(client: HubClient) -> list[str]:
    """What was said of Redis."""
    return [event.data["state"] for event in client.events if event.name == "source"]


@pytest.fixture
def short_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis answers ten times a second, whatever happens."""
    monkeypatch.setattr("messaging.live.reader.BLOCK_MS", 100)


@pytest.mark.usefixtures("short_block")
@pytest.mark.parametrize("how", ["frozen", "gone"])
async def test_streams_are_told_while_redis_does_not_answer(
    broker: TestServer, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr("messaging.live.reader.LATE_SECONDS", 0.5)
    hub = Hub()
    hub.start()
    try:
        first = await HubClient(hub, "a").live()
        if how == "frozen":
            broker.signal(signal.SIGSTOP)
        else:
            broker.stop()
        await soon(lambda: sources(first) == ["silent"])
        second = await HubClient(hub, "a").live()
        await soon(lambda: sources(second) == ["silent"])
        if how == "frozen":
            broker.signal(signal.SIGCONT)
        else:
            broker.start()
        await soon(lambda: sources(first) == sources(second) == ["silent", "answers"])
    finally:
        await hub.close()


@pytest.mark.usefixtures("short_block")
async def test_a_redis_that_answers_is_not_worth_a_word(
    broker: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messaging.live.reader.LATE_SECONDS", 2.0)
    monkeypatch.setattr("messaging.live.ticker.TICK_SECONDS", 0.01)
    hub = Hub()
    hub.start()
    try:
        client = await HubClient(hub, "a").live()
        for number in range(50):
            publish("a", number)
            await soon(lambda upto=number: client.payloads == list(range(upto + 1)))
        assert sources(client) == []
    finally:
        await hub.close()


async def test_a_message_is_word_of_redis(broker: TestServer) -> None:
    hub = Hub()
    hub.start()
    try:
        client = await HubClient(hub, "a").live()
        for number in range(3):
            before = asyncio.get_running_loop().time()
            await asyncio.to_thread(publish, "a", number)
            await soon(lambda upto=number: client.payloads == list(range(upto + 1)))
            assert hub._tails[0].heard >= before
    finally:
        await hub.close()


async def test_a_log_that_is_born_while_it_is_looked_at_is_one_log(
    broker: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest, births = Reader._newest, iter([0])

    async def just_after_the_first_message(reader: Reader, link: Link) -> object:
        for number in births:
            await asyncio.to_thread(publish, "a", number)
        return await newest(reader, link)

    monkeypatch.setattr(Reader, "_newest", just_after_the_first_message)
    hub = Hub()
    hub.start()
    try:
        client = await HubClient(hub, "a").live()
        await asyncio.to_thread(publish, "a", 1)
        await soon(lambda: client.payloads[-1:] == [1])
        assert [event.name for event in client.events if event.name == "gap"] == []
        assert all(place.epoch for place in hub.heads)
    finally:
        await hub.close()


@pytest.mark.parametrize("partitions", [1, 3])
async def test_what_all_are_told_reaches_who_is_in_no_feed_just_then(
    broker: TestServer, settings: Settings, partitions: int
) -> None:
    settings.MESSAGING |= {"PARTITIONS": partitions}
    hub = Hub()
    try:
        attached, away, busy = [await HubClient(hub, "a").live() for _ in range(3)]
        await asyncio.to_thread(publish, "a", 1)
        await soon(lambda: all(heard(client) == [1] for client in (attached, away, busy)))
        away.stream.detach()
        hub.tell(named("loss", {}))
        busy.stream.detach()  # it has heard that
        away.stream.wake()
        await soon(lambda: heard(away) == [1, "loss"])
        away.stream.detach()
        hub.tell(named("loss", {}))
        await asyncio.to_thread(publish, "a", 2)
        await soon(lambda: heard(attached) == [1, "loss", "loss", 2])
        for client in (away, busy):
            client.stream.wake()
        await soon(lambda: heard(away) == heard(busy) == [1, "loss", "loss", 2])
    finally:
        await hub.close()
    assert heard(attached) == heard(away) == heard(busy)


async def test_losses_are_asked_for_by_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def stored() -> list[losses.Loss]:
        asked.append(1)
        return []

    monkeypatch.setattr(losses, "stored", stored)
    hub = Hub()
    try:
        first = hub.losses.learn()
        assert hub.losses.learn() is first
        await first
        assert await hub.losses.fresh() == []  # just asked
        assert len(asked) == 1
        await hub.losses.learn()
        assert len(asked) == 2
    finally:
        await hub.close()


async def test_a_stream_that_cannot_be_written_costs_no_other(
    broker: TestServer, caplog: pytest.LogCaptureFixture
) -> None:
    hub = Hub()

    class Broken:
        free = True

        def write(self, framed: bytes) -> None:
            raise RuntimeError("the handler is closed")

    try:
        clients = [await HubClient(hub, f"{n}*", "a").live() for n in range(5)]
        await soon(lambda: all(client.stream in client.stream.feed.sleepers for client in clients))
        for broken in (clients[0], clients[2]):
            broken.stream.direct = Broken()  # type: ignore[assignment]
        for n in range(3):
            await asyncio.to_thread(publish, "a", n)
        await soon(lambda: all(clients[at].payloads == [0, 1, 2] for at in (1, 3, 4)))
        await soon(lambda: len(hub.streams) == 3)
    finally:
        await hub.close()
    assert "the handler is closed" in caplog.text


async def test_clients_of_one_filter_share_bytes_and_a_burst_is_one_write(broker: TestServer) -> None:
    hub = Hub()
    try:
        one, two, other = [await HubClient(hub, *names).live() for names in (["a", "b"], ["b", "a"], ["a*"])]
        assert one.stream.feed is two.stream.feed is not other.stream.feed
        before = len(one.chunks)
        await asyncio.to_thread(publish_many, [("a", n) for n in range(300)])
        for client in (one, two, other):
            await soon(lambda client=client: len(client.payloads) == 300)
            assert client.payloads == list(range(300))
        assert len(one.chunks) - before < 30
        assert all(
            mine is theirs for mine, theirs in zip(one.chunks[before:], two.chunks[before:], strict=True)
        )
    finally:
        await hub.close()
    assert one.events[-1].name == "bye"


async def test_a_feed_goes_with_its_last_client(broker: TestServer) -> None:
    hub = Hub()
    try:
        one, two = await HubClient(hub, "x").live(), await HubClient(hub, "x").live()
        await asyncio.to_thread(publish, "x", 1)
        await soon(lambda: one.payloads == two.payloads == [1])
        for client, left in ((one, 1), (two, 0)):
            client.stream.leave()
            await client.task
            assert (len(hub.streams), len(hub._feeds)) == (left, min(left, 1))
        await asyncio.to_thread(publish, "x", 2)
        again = await HubClient(hub, "x", last=5).live()
        assert again.payloads == [1, 2]
    finally:
        await hub.close()


async def test_a_closed_hub_leaves_nothing_behind(broker: TestServer) -> None:
    tasks = asyncio.all_tasks()
    hub = Hub()
    clients = [await HubClient(hub).live() for _ in range(20)]
    await hub.close()
    await asyncio.gather(*(client.task for client in clients))
    await soon(lambda: asyncio.all_tasks() == tasks)
    await soon(lambda: not [t for t in threading.enumerate() if t.name.startswith("messaging-live")])
    reset_clients()
    redis = broker.client()
    await soon(lambda: len(redis.client_list()) == 1)
    assert not hub.streams


# -- threads


async def test_a_failure_spares_the_jobs_behind_it() -> None:
    threads = Threads("test", rest=True)
    asked = []

    def job() -> None:
        asked.append(1)
        time.sleep(0.05)
        raise OSError("away")

    results = await asyncio.gather(*(threads.run(job) for _ in range(50)), return_exceptions=True)
    assert 1 <= len(asked) <= 3
    assert sum(isinstance(result, Resting) for result in results) == 50 - len(asked)
    await soon(lambda: time.monotonic() > threads._rest_until)
    assert await threads.run(lambda: 7) == 7
    threads.close()


@pytest.mark.django_db(transaction=True)
async def test_idle_threads_hold_no_database_connection() -> None:
    threads = Threads("test")

    def job(seconds: float) -> object:
        at_first = connections["default"].connection
        User.objects.count()
        time.sleep(seconds)
        return at_first

    await asyncio.gather(*(threads.run(partial(job, n % 5 / 100)) for n in range(20)))
    async with asyncio.timeout(10):
        while True:
            await asyncio.sleep(0.05)  # what was closed is closed after the result is there
            # each of the threads gets one of these, since none is done before all have begun
            if await asyncio.gather(*(threads.run(partial(job, 0.3)) for _ in range(3))) == [None] * 3:
                break
    threads.close()


# -- who may watch


def make_session(name: str, *, permitted: bool = True) -> str:
    user = User.objects.create_user(name)
    if permitted:
        user.user_permissions.add(Permission.objects.get(codename="view_message"))
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return session.session_key


def claim_of(session_key: str) -> access.Claim:
    return access.Claim(Filter(), session_key)


async def elsewhere(job: Callable[[str], str], name: str) -> str:
    """In a thread, whose database connection is closed."""

    def run() -> str:
        try:
            return job(name)
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)


@pytest.mark.django_db(transaction=True)
async def test_equal_questions_are_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    key = await elsewhere(make_session, "viewer")
    asked = []
    real = access.admit
    monkeypatch.setattr(access, "admit", lambda claim: (asked.append(claim.session_key), real(claim))[1])
    gate = access.Gate()
    answers = await asyncio.gather(*(gate.admit(claim_of(each)) for each in [key] * 100 + ["unknown", ""]))
    assert len({*answers[:100]}) == 1
    assert answers[0] is not None
    assert answers[100:] == [None, None]
    assert sorted(asked) == sorted([key, "unknown", ""])
    gate.forget(time.monotonic() + 60)
    await gate.admit(claim_of(key))
    assert len(asked) == 4
    gate.close()


@pytest.mark.django_db(transaction=True)
def test_a_session_is_only_read(settings) -> None:
    """A new SECRET_KEY, the old one among the fallbacks: Django would give the session a new key, which the browser
    would not hear of."""
    key = make_session("viewer")
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    assert access.user_of(key) is not None
    assert SessionStore().exists(key)
    settings.SECRET_KEY_FALLBACKS = []
    assert access.user_of(key) is None
    assert SessionStore().exists(key)


@pytest.mark.django_db(transaction=True)
async def test_a_database_that_is_away_takes_no_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(claim: access.Claim, **_: bool) -> None:
        raise OSError("away")

    gate = access.Gate()
    key = await elsewhere(partial(make_session, permitted=False), "nobody")
    claim = claim_of(key)
    assert await gate.withdrawn([claim]) == {claim}
    monkeypatch.setattr(access, "admit", away)
    assert await gate.withdrawn([claim]) == set()
    with pytest.raises(OSError, match="away"):
        await gate.admit(claim)
    gate.close()


# -- signals


async def test_a_signal_is_heard_and_handed_on() -> None:
    heard: list[str] = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append("the server's"))
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        undo = stopping.on_signal(asyncio.get_running_loop(), lambda: heard.append("ours"))
        assert signal.getsignal(signal.SIGINT) is interrupt  # nobody's: Ctrl-C stays what it is
        signal.raise_signal(signal.SIGTERM)
        await soon(lambda: len(heard) == 2)
        assert sorted(heard) == ["ours", "the server's"]
        undo()
        signal.raise_signal(signal.SIGTERM)
        assert len(heard) == 3
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_only_the_main_thread_has_signals() -> None:
    loop = asyncio.get_running_loop()
    undo = await asyncio.to_thread(stopping.on_signal, loop, lambda: None)
    undo()
