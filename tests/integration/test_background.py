"""The listener as a thread of a web process: started by the setting alone, once, where requests are served."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from django.core.signals import request_started
from pytest_django import Settings

import messaging
from messaging import background, connection, keys, wire
from messaging.live.asgi import LiveApplication
from messaging.models import Message
from tests.conftest import Manage
from tests.integration.conftest import our_threads
from tests.servers import TestServer, free_port
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.usefixtures("broker")


@pytest.fixture
def asked(settings: Settings, sqlite: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The setting; ends what a test has started."""
    monkeypatch.setattr(background, "_retry_at", 0.0)
    settings.MESSAGING = settings.MESSAGING | {"LISTEN_IN_WEB": True}
    yield sqlite
    background.stop()


def stored(alias: str) -> list[object]:
    return [row.data for row in Message.objects.using(alias).stored().in_log_order()]


def test_without_the_setting_no_thread_is_started(sqlite: str) -> None:
    request_started.send(sender=None)
    assert not background.start_if_asked()
    assert our_threads() == []


def test_the_first_request_starts_it_and_the_next_ones_do_not(asked: str) -> None:
    assert our_threads() == []
    for _ in range(5):
        request_started.send(sender=None)
    eventually(lambda: our_threads().count("messaging-listener") == 1)
    messaging.publish("c", 1)
    eventually(lambda: stored(asked) == [1])
    background.stop()
    assert our_threads() == []


def test_the_start_of_an_asgi_server_starts_it_and_its_end_ends_it(asked: str) -> None:
    async def never(*args: Any) -> None:
        raise AssertionError("not a request")

    async def serve() -> None:
        sent: list[str] = []
        told: asyncio.Queue[dict[str, str]] = asyncio.Queue()

        async def send(event: Any) -> None:
            sent.append(event["type"])

        told.put_nowait({"type": "lifespan.startup"})
        running = asyncio.create_task(LiveApplication(never)({"type": "lifespan"}, told.get, send))
        await asyncio.to_thread(eventually, lambda: "lifespan.startup.complete" in sent)
        await asyncio.to_thread(eventually, lambda: "messaging-listener" in our_threads())
        await asyncio.to_thread(messaging.publish, "c", 1)
        told.put_nowait({"type": "lifespan.shutdown"})
        await running
        assert sent[-1] == "lifespan.shutdown.complete"

    asyncio.run(serve())
    assert "messaging-listener" not in our_threads()


def test_settings_that_cannot_work_cost_no_request_and_are_told_once(
    asked: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"URL": "nonsense"}
    connection.reset()
    with caplog.at_level(logging.ERROR, "messaging.listen"):
        for _ in range(10):
            request_started.send(sender=None)
    assert [record.getMessage() for record in caplog.records] == ["the background listener cannot start"]
    assert our_threads() == []


def test_a_thread_that_died_is_started_again_by_the_next_request(
    asked: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from messaging.listener import Listener

    def fail(self: Listener) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(Listener, "run", fail)
        request_started.send(sender=None)
        eventually(lambda: not our_threads())
    assert "the background listener ended" in caplog.text
    # A thread that is no longer listed may still be alive for a moment; requests go on to come.
    eventually(lambda: request_started.send(sender=None) and our_threads())
    messaging.publish("c", 1)
    eventually(lambda: stored(asked) == [1])


def test_with_redis_away_requests_go_on_and_it_begins_when_redis_is_back(
    asked: str, broker: TestServer
) -> None:
    broker.stop()
    request_started.send(sender=None)
    eventually(lambda: "messaging-listener" in our_threads())
    broker.start()
    wire.reset()
    messaging.publish("c", 1)
    eventually(lambda: stored(asked) == [1])


def test_a_forked_worker_has_no_thread_until_it_serves_and_then_its_own(
    asked: str, broker: TestServer
) -> None:
    request_started.send(sender=None)
    eventually(lambda: background._thread is not None and background._thread.listener.in_charge.is_set())
    client = broker.client()
    child = os.fork()
    if not child:
        status = 1
        with suppress(BaseException):
            assert background._thread is None
            request_started.send(sender=None)
            thread = background._thread
            assert thread is not None
            eventually(lambda: thread.listener.report().holder)  # it stands by for its parent
            assert not thread.listener.in_charge.is_set()
            background.stop()
            assert not thread.is_alive()
            status = 0
        os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert client.get(keys.lease()).decode().split(":")[1] == str(os.getpid())  # type: ignore[union-attr]
    messaging.publish("c", 1)
    eventually(lambda: stored(asked) == [1])


def owner(client: redis.Redis) -> int | None:
    """The process that is in charge."""
    found: Any = client.get(keys.lease())
    return int(found.split(b":")[1]) if found else None


def test_under_autoreload_only_the_process_that_serves_listens_and_a_reload_hands_over(
    manage: Manage, broker: TestServer, tmp_path: Path
) -> None:
    client = broker.client()
    port = free_port()
    watched = tmp_path / "watched.py"
    watched.write_text("")
    process = manage(
        "runserver",
        f"127.0.0.1:{port}",
        env={
            "DJANGO_SETTINGS_MODULE": "tests.integration.reloaded_site",
            "MORE_MESSAGING": '{"LISTEN_IN_WEB": true, "LEASE_SECONDS": 3.0}',
            "DEBUG": "true",
            "WATCHED": str(watched),
        },
    )
    eventually(lambda: answers(port), every=0.1)
    first = eventually(lambda: owner(client))
    assert first != process.pid
    changed = 0.0

    def handed_over() -> bool:
        nonlocal changed
        if (
            time.monotonic() - changed > 10
        ):  # what changes before the reloader has first looked is no change to it
            changed = time.monotonic()
            watched.write_text(f"changed = {changed}")
        return answers(port) and owner(client) not in (None, first)

    eventually(handed_over, every=0.1)
    assert owner(client) != process.pid
    process.signal(signal.SIGTERM)
    process.wait()


def answers(port: int) -> bool:
    try:
        return (
            httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=PATIENCE, trust_env=False).status_code
            == 200
        )
    except httpx.TransportError:
        return False
