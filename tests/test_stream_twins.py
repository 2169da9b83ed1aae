"""The same URL as a plain Django view, under WSGI and under ASGI without our application in front: the same stream."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from messaging import publish
from messaging.publisher import publish_many
from tests.live_sites import DJANGO_ALONE, LiveSite, live_site
from tests.servers import TestServer
from tests.sites import Database
from tests.sse import Listening, parse
from tests.waiting import eventually

RUNSERVER = ("manage.py", "runserver", "--noreload")


@pytest.fixture(params=[RUNSERVER, DJANGO_ALONE], ids=["runserver", "django alone"])
def live(
    request: pytest.FixtureRequest, broker: TestServer, database_template: Database
) -> Iterator[LiveSite]:
    with live_site(
        database_template,
        broker.url,
        command=request.param,
        LIVE_HEARTBEAT_SECONDS=0.3,
        LIVE_MAX_AGE_SECONDS=20,
    ) as site:
        yield site


def test_the_same_stream(live: LiveSite) -> None:
    publish_many([("t", n) for n in range(700)])
    with live.listen("t", last=100) as stream:
        stream.until(lambda s: s.payloads[-1:] == [699])
        stream.live()
        assert [event.name for event in stream.events[:2]] == ["hello", "message"]
        assert stream.events[0].retry == 2000
        assert stream.events[0].data["channels"] == ["t"]
        publish("t", 700)
        publish("other", 0)
        publish("t", 701)
        stream.until(lambda s: s.payloads[-1] == 701)
        first = stream.payloads[0]
        assert stream.payloads == list(range(first, 702))
        ids = [event.last_id for event in stream.named("message")]
    with live.listen("t", since=ids[10]).live() as again:
        assert again.events[0].data["resumed"] is True
        assert again.payloads == list(range(first + 11, 702))
        assert not again.named("gap")


def test_gaps_are_told(live: LiveSite, broker: TestServer) -> None:
    publish("g", 1)
    with live.listen("g", last=1).live() as stream:
        broker.client().flushall()
        publish("g", 2)
        stream.until(lambda s: s.payloads[-1] == 2)
        assert [gap.data["reason"] for gap in stream.named("gap")] == ["reborn"]
        broker.restart()
        publish("g", 3)
        stream.until(lambda s: s.payloads[-1] == 3)
        assert len(stream.named("gap")) == 1


def test_streams_are_told_while_redis_does_not_answer(live: LiveSite, broker: TestServer) -> None:
    publish("s", 1)
    with live.listen("s", last=1).live() as stream:
        broker.kill()
        stream.until(lambda s: states(s) == ["silent"])
        broker.start()
        stream.until(lambda s: states(s) == ["silent", "answers"])
        silent, answers = (event.data["seconds"] for event in stream.named("source"))
        assert silent >= answers == 0
        publish("s", 2)
        stream.until(lambda s: s.payloads == [1, 2])
        assert states(stream) == ["silent", "answers"]


def states(stream: Listening) -> list[str]:
    return [event.data["state"] for event in stream.named("source")]


def test_who_and_what_is_refused(live: LiveSite) -> None:
    with live.client(session="") as client:
        assert client.get("/messages/stream").status_code == 403
    with live.client() as client:
        assert client.post("/messages/stream").status_code in (403, 405)  # CSRF is asked first
        assert client.head("/messages/stream").status_code == 405
        answer = client.get("/messages/stream?last=x")
        assert (answer.status_code, "'x'" in answer.text) == (400, True)


def test_headers_heartbeats_and_a_client_that_leaves(live: LiveSite) -> None:
    def threads() -> int:
        return len(list(Path(f"/proc/{live.web.pid}/task").iterdir()))

    before = threads()
    socks = [live.connect() for _ in range(20)]
    for sock in socks:
        seen = b""
        while seen.count(b": beat\n") < 2:
            seen += sock.recv(65536)
        head = seen.partition(b"\r\n\r\n")[0].decode().lower()
        assert "content-type: text/event-stream; charset=utf-8" in head
        assert "cache-control: no-cache, no-transform" in head
        assert "x-accel-buffering: no" in head
        sock.close()
    eventually(
        lambda: threads() < before + 15
    )  # the process may keep a few for its own use, and none for a client


def test_it_ends_at_its_age(broker: TestServer, database_template: Database) -> None:
    with (
        live_site(
            database_template,
            broker.url,
            command=RUNSERVER,
            LIVE_MAX_AGE_SECONDS=1,
            LIVE_HEARTBEAT_SECONDS=0.2,
        ) as live,
        live.client() as client,
    ):
        answer = client.get("/messages/stream")
    bye = parse(answer.content)[-1]
    assert (bye.name, bye.data) == ("bye", {"reason": "age"})
    assert bye.retry is not None
