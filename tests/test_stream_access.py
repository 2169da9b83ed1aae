"""Who may hear what: a function, public channels, tickets, other origins; what is withdrawn from an open stream."""

import sqlite3
from collections.abc import Iterator

import httpx
import pytest

from messaging import publish
from messaging.live.tickets import ticket
from messaging.publisher import publish_many
from tests.conftest import reset_clients
from tests.live_sites import UVICORN, LiveSite, live_site
from tests.servers import TestServer
from tests.sites import CSRF_TOKEN, Database
from tests.sse import Listening
from tests.test_stream_twins import RUNSERVER
from tests.waiting import PATIENCE, eventually

SHOP = "https://shop.example"


@pytest.fixture(scope="module")
def server() -> Iterator[TestServer]:
    running = TestServer()
    yield running
    running.remove()


@pytest.fixture(scope="module", params=[UVICORN, RUNSERVER], ids=["uvicorn", "runserver"])
def running(
    request: pytest.FixtureRequest, database_template: Database, server: TestServer
) -> Iterator[LiveSite]:
    with live_site(
        database_template,
        server.url,
        command=request.param,
        LIVE_MAY_HEAR="tests.hearing.may_hear",
        LIVE_PUBLIC=["public.*"],
        LIVE_ORIGINS=[SHOP],
        LIVE_RECHECK_SECONDS=0.3,
        LIVE_HEARTBEAT_SECONDS=0.4,
        LIVE_RING=20,
    ) as site:
        yield site


@pytest.fixture
def live(running: LiveSite, server: TestServer, settings) -> Iterator[LiveSite]:
    """The admin may hear what begins with "mine" or "both"."""
    settings.MESSAGING = settings.MESSAGING | {"URL": server.url}
    reset_clients()
    server.client().flushall()
    rename(running, "mine both")
    yield running
    reset_clients()


def rename(site: LiveSite, first_name: str, *, active: bool = True) -> None:
    """Another list of what the admin may hear."""
    with sqlite3.connect(site.database.path, timeout=20) as connection:
        connection.execute("UPDATE auth_user SET first_name = ?, is_active = ?", (first_name, active))
    connection.close()


def stranger(site: LiveSite, query: str, **headers: str) -> Listening:
    client = httpx.Client(base_url=site.url, headers=headers, timeout=PATIENCE, trust_env=False)
    return Listening(client, last=None, path=f"/messages/stream?{query}")


def status(site: LiveSite, query: str, *, session: str | None = None) -> int:
    with site.client(session=session) as client, client.stream("GET", f"/messages/stream?{query}") as answer:
        return answer.status_code


def test_every_name_has_to_be_allowed_and_of_a_glob_the_rest_is_left_out(live: LiveSite) -> None:
    assert status(live, "channel=mine.a") == 200
    assert status(live, "channel=mine.a&channel=theirs.a") == 403
    assert status(live, "channel=theirs.a") == 403
    assert status(live, "channel=mine.a", session="") == 403
    with live.listen("*", last=0).live() as witness:  # that the web process has read them all
        for n in range(60):  # more than memory holds: the rest is read from the log
            publish_many([(f"{whose}.{n % 3}", n) for whose in ("mine", "theirs", "public")])
        witness.until(lambda s: len(s.payloads) == 120)
    with live.listen("*.[0-2]", "both.x", last=100).live() as stream:
        assert stream.payloads == [n for n in range(60) for _ in range(2)][-100:]
        channels = {message["event"]["subject"] for message in stream.messages}
        assert channels == {f"{whose}.{n}" for whose in ("mine", "public") for n in range(3)}
        # channels that nobody has seen yet, among many that are not allowed
        batch = [(f"{whose}.new{n}.{n % 3}", n) for n in range(40) for whose in ("theirs", "mine", "both")]
        publish_many([*batch, ("both.x", "end")])
        stream.until(lambda s: s.payloads[-1] == "end")
        assert stream.payloads[100:] == [*(n for n in range(40) for _ in range(2)), "end"]
        resume = stream.named("message")[110].last_id
    with live.listen("*.[0-2]", "both.x", since=resume).live() as again:
        assert again.payloads == [*(n for n in range(40) for _ in range(2)), "end"][11:]
        assert not again.named("gap")


def test_what_is_withdrawn_narrows_a_glob_and_ends_a_name(live: LiveSite) -> None:
    with live.listen("*", last=0).live() as wide, live.listen("both.1").live() as name:
        publish_many([("mine.1", 1), ("both.1", 2)])
        wide.until(lambda s: len(s.payloads) == 2)
        rename(live, "mine")
        eventually(lambda: name.ended)
        assert name.named("bye")[0].data == {"reason": "permission"}

        def narrowed() -> bool:
            publish_many([("both.1", 3), ("mine.1", "mark")])
            wide.until(lambda s: s.payloads[-1] == "mark")
            return wide.payloads[-2:] == ["mark", "mark"]

        eventually(narrowed)
        rename(live, "mine", active=False)
        eventually(lambda: wide.ended)
        assert wide.named("bye")[0].data == {"reason": "permission"}


def test_what_is_public_needs_no_login(live: LiveSite) -> None:
    publish("public.a", 1)
    with stranger(live, "channel=public.a&channel=public.b*", origin=SHOP) as stream:
        stream.live()
        assert stream.payloads == [1]
        assert stream.headers["access-control-allow-origin"] == SHOP
    for query in ("channel=public.a&channel=mine.a", "channel=*", "channel=pub*", ""):
        assert status(live, query, session="") == 403


def test_a_ticket_opens_its_channels_and_nothing_else(live: LiveSite) -> None:
    with live.client() as client:
        client.cookies["csrftoken"] = CSRF_TOKEN
        headers = {"X-CSRFToken": CSRF_TOKEN}
        assert client.post("/messages/ticket", data={"channel": "mine.a"}).status_code == 403
        assert client.post("/messages/ticket", data={"channel": "theirs"}, headers=headers).status_code == 403
        assert client.post("/messages/ticket", data={}, headers=headers).status_code == 400
        answer = client.post("/messages/ticket", data={"channel": ["mine.a", "mine.b*"]}, headers=headers)
    assert (answer.status_code, answer.json()["seconds"]) == (201, 60)
    given = answer.json()["ticket"]
    publish("mine.a", 1)
    with stranger(live, f"ticket={given}", origin=SHOP) as stream:
        stream.live()
        assert stream.payloads == [1]
        assert stream.events[0].data["channels"] == ["mine.a", "mine.b*"]
        assert stream.headers["access-control-allow-origin"] == SHOP
        rename(live, "", active=False)
        eventually(lambda: stream.ended)
    # its user is not active any more; an answer is remembered for a moment
    eventually(lambda: status(live, f"ticket={given}", session="") == 403)
    rename(live, "mine")
    assert status(live, f"ticket={given}&channel=mine.bc*", session="") == 200
    for query in (f"ticket={given}&channel=mine.c", f"ticket={given}x", "ticket=none"):
        assert status(live, query) == 403  # nor does a session help a ticket


def test_a_ticket_for_nobody_is_good_for_its_time(live: LiveSite) -> None:
    publish("theirs.a", 1)
    with stranger(live, f"ticket={ticket(['theirs.a'])}") as stream:
        assert stream.live().payloads == [1]
        assert "access-control-allow-origin" not in stream.headers
    assert status(live, f"ticket={ticket(['theirs.a'], seconds=-1)}", session="") == 403
    with pytest.raises(ValueError, match="at least one channel"):
        ticket([])


def test_other_origins_never_read_what_a_cookie_opens(live: LiveSite) -> None:
    with live.client() as client:
        for origin in (SHOP, "https://evil.example"):
            with client.stream(
                "GET", "/messages/stream?channel=mine.a", headers={"Origin": origin}
            ) as answer:
                assert "access-control-allow-origin" not in answer.headers
        asked = client.options("/messages/stream", headers={"Origin": SHOP})
        assert asked.status_code == 204
        assert asked.headers["access-control-allow-origin"] == SHOP
        assert "Last-Event-ID" in asked.headers["access-control-allow-headers"]
        evil = client.options("/messages/stream", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in evil.headers
