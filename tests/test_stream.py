"""The live stream of a real server process: what it sends, to whom, and how a client resumes."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

from messaging import publish
from messaging.publisher import publish_many
from tests.conftest import reset_clients
from tests.live_sites import LiveSite, live_site
from tests.processes import ROOT, python
from tests.servers import TestServer
from tests.sites import Database
from tests.sse import parse
from tests.waiting import PATIENCE, eventually

MAKE_USERS = f"""
import json, sys
import django
django.setup()
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.backends.db import SessionStore
keys = {{}}
for name, permitted, active in (("viewer", True, True), ("nobody", False, True), ("left", True, False)):
    user = User.objects.create_user(name, is_active=active)
    if permitted:
        user.user_permissions.add(Permission.objects.get(codename="view_message"))
    session = SessionStore()
    session[{SESSION_KEY!r}] = str(user.pk)
    session[{BACKEND_SESSION_KEY!r}] = "django.contrib.auth.backends.ModelBackend"
    session[{HASH_SESSION_KEY!r}] = user.get_session_auth_hash()
    session.create()
    keys[name] = session.session_key
print(json.dumps(keys))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[TestServer]:
    running = TestServer()
    yield running
    running.remove()


@pytest.fixture(scope="module")
def running(database_template: Database, server: TestServer) -> Iterator[LiveSite]:
    with live_site(database_template, server.url, MAX_EVENT_BYTES=4 * 1024 * 1024) as site:
        yield site


@pytest.fixture
def live(running: LiveSite, server: TestServer, settings) -> Iterator[LiveSite]:
    """The file's site; ``publish`` in the test reaches its log. Tests use channels of their own."""
    settings.MESSAGING = settings.MESSAGING | {"URL": server.url, "MAX_EVENT_BYTES": 4 * 1024 * 1024}
    reset_clients()
    yield running
    reset_clients()


def numbers(channel: str, upto: int, start: int = 0) -> None:
    publish_many([(channel, n) for n in range(start, upto)])


# -- the bytes


def test_curl_sees_hello_history_live_and_messages_at_once(live: LiveSite) -> None:
    publish("curl.before", {"n": 1})
    curl = subprocess.Popen(
        [
            *("curl", "--no-progress-meter", "-N", "-i", "--max-time", "20"),
            *("-b", f"sessionid={live.database.session}"),
            f"{live.url}/messages/stream?channel=curl.*",
        ],
        stdout=subprocess.PIPE,
    )
    seen = b""
    with curl:
        assert curl.stdout is not None
        while b"event: live" not in seen:
            seen += curl.stdout.readline()
        publish("curl.after", "two\nlines")
        while not seen.endswith(b"\n\n") or b"curl.after" not in seen:
            seen += curl.stdout.readline()
        curl.kill()
    head, _, body = seen.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "http/1.1 200 ok"
    for header in (
        "content-type: text/event-stream; charset=utf-8",
        "cache-control: no-cache, no-transform",
        "x-accel-buffering: no",
        "x-content-type-options: nosniff",
    ):
        assert header in lines
    assert body.startswith(b"retry: 2000\nevent: hello\n")
    hello, before, live_event, after = parse(body)
    assert [event.name for event in (hello, before, live_event, after)] == [
        "hello",
        "message",
        "live",
        "message",
    ]
    assert hello.data["channels"] == ["curl.*"]
    assert hello.data["resumed"] is False
    assert set(hello.data["retention"]) == {"entries", "oldest", "cap"}
    assert before.data["event"]["data"] == {"n": 1}
    assert before.last_id.endswith("." + before.data["at"].partition(".")[2])
    assert live_event.data["position"] == live_event.last_id == hello.data["position"]
    assert after.data["event"]["data"] == "two\nlines"


def test_no_message_is_missing_and_none_is_there_twice_around_live(live: LiveSite) -> None:
    """Clients that connect while messages flow: history, watermark and feed join without a seam."""
    numbers("seam", 100)
    streams = []
    for batch in range(10):
        streams.append(live.listen("seam", last=50))
        numbers("seam", 100 + 100 * (batch + 1), 100 + 100 * batch)
    for stream in streams:
        with stream:
            stream.until(lambda s: s.payloads[-1] == 1099)
            first = stream.payloads[0]
            assert stream.payloads == list(range(first, 1100))


# -- which messages


def test_channels_select(live: LiveSite) -> None:
    with (
        live.listen("sel.a", "sel.b").live() as names,
        live.listen("sel.[ab]*").live() as glob,
        live.listen().live() as everything,
    ):
        for channel in ("sel.a", "sel.b", "sel.c", "sel.abc", "other"):
            publish(channel, channel)
        publish("sel.a", "end")
        for stream in (names, glob, everything):
            stream.until(lambda s: "end" in s.payloads)
        assert names.payloads == ["sel.a", "sel.b", "end"]
        assert glob.payloads == ["sel.a", "sel.b", "sel.abc", "end"]
        assert everything.payloads[-6:] == ["sel.a", "sel.b", "sel.c", "sel.abc", "other", "end"]


@pytest.mark.parametrize(("last", "found"), [(0, []), (3, [7, 8, 9]), (1000, list(range(10)))])
def test_history_is_the_newest_that_match_oldest_first(live: LiveSite, last: int, found: list[int]) -> None:
    channel = f"hist.{last}"
    for n in range(10):
        publish(channel, n)
        publish("hist.noise", n)
    with live.listen(channel, last=10).live() as stream:
        stream.until(lambda s: s.payloads[-1:] == [9])  # the server has read them
    with live.listen(channel, last=last).live() as stream:
        assert stream.payloads == found


def test_big_payloads_are_cut_and_unreadable_entries_are_shown(live: LiveSite, server: TestServer) -> None:
    with live.listen().live() as everything, live.listen("big").live() as named:
        publish("big", "x" * 100_000)
        server.client().xadd("messaging:{0}:log", {"e": b"\xff\x00 not an event"})
        server.client().xadd("messaging:{0}:log", {"other": "field"})
        publish("big", "end")
        named.until(lambda s: len(s.messages) == 2)
        everything.until(lambda s: s.messages[-1].get("event", {}).get("data") == "end")
        assert named.messages[0]["cut"] == {"size": 100_000, "text": "x" * 8192}
        errors = [message for message in everything.messages if "error" in message]
        assert len(errors) == 2
        assert "not UTF-8" in errors[0]["error"]
        assert "no field 'e'" in errors[1]["error"]
        assert not [message for message in named.messages if "error" in message]


# -- resuming


def test_a_client_resumes_where_it_was(live: LiveSite) -> None:
    numbers("resume", 20)
    with live.listen("resume", last=1000).live() as first:
        assert first.payloads == list(range(20))
    ids = [event.last_id for event in first.named("message")]
    numbers("resume", 30, 20)
    with live.listen("resume", last=1000, since=ids[7]).live() as again:
        assert again.payloads == list(range(8, 30))
        assert again.events[0].data["resumed"] is True
        assert not again.named("gap")
    with (
        live.client() as client,
        client.stream(
            "GET", "/messages/stream", params={"channel": "resume", "position": ids[27 - 10]}
        ) as response,
    ):
        seen = b""
        for part in response.iter_raw():
            seen += part
            if b"event: live" in seen and seen.endswith(b"\n\n"):
                break
    assert [event.data["event"]["data"] for event in parse(seen) if event.name == "message"] == list(
        range(18, 30)
    )


def test_the_header_wins_over_the_query(live: LiveSite) -> None:
    """An EventSource that reconnects asks its old URL again, and has read on since."""
    numbers("wins", 3)
    with live.listen("wins", last=10).live() as first:
        ids = [event.last_id for event in first.named("message")]
    with (
        live.client() as client,
        client.stream(
            "GET",
            "/messages/stream",
            params={"channel": "wins", "position": ids[0]},
            headers={"Last-Event-ID": ids[1]},
        ) as response,
    ):
        seen = b""
        for part in response.iter_raw():
            seen += part
            if b"event: live" in seen and seen.endswith(b"\n\n"):
                break
    assert [event.data["event"]["data"] for event in parse(seen) if event.name == "message"] == [2]


@pytest.mark.parametrize(
    "text", ["nonsense", "0123456789abcdef.1-1,0123456789abcdef.1-1", "0123456789abcdef.x-0", ";"]
)
def test_what_is_no_position_of_ours_begins_afresh(live: LiveSite, text: str) -> None:
    publish("fresh", 1)
    with live.listen("fresh", last=1, since=text).live() as stream:
        assert stream.events[0].data["resumed"] is False
        assert stream.payloads == [1]
        assert not stream.named("gap")


def test_a_position_of_another_log_is_a_gap(live: LiveSite) -> None:
    publish("other-log", 1)
    since = "fedcba9876543210.5-0"
    with live.listen("other-log", since=since).live() as stream:
        (gap,) = stream.named("gap")
        assert (gap.data["from"], gap.data["reason"], gap.data["missed"]) == (since, "reborn", None)
        assert gap.data["to"] == gap.last_id
        assert stream.payloads == [1]


def test_a_position_ahead_of_the_log_is_a_gap(live: LiveSite) -> None:
    publish("ahead", 1)
    with live.listen("ahead", last=1).live() as stream:
        epoch = stream.last_id.partition(".")[0]
    with live.listen("ahead", since=f"{epoch}.9999999999999-0").live() as stream:
        assert [gap.data["reason"] for gap in stream.named("gap")] == ["reborn"]
        publish("ahead", 2)
        stream.until(lambda s: s.payloads == [2])


# -- who, and what is refused


@pytest.fixture(scope="module")
def sessions(running: LiveSite) -> dict[str, str]:
    made = subprocess.run(
        python("-c", MAKE_USERS), env=running.env, cwd=ROOT, check=True, stdout=subprocess.PIPE, timeout=60
    )
    return json.loads(made.stdout)


def test_who_may_watch(live: LiveSite, sessions: dict[str, str]) -> None:
    with live.listen(session=sessions["viewer"]).live():
        pass
    for session in ("", "nosuchsession", sessions["nobody"], sessions["left"]):
        with live.client(session=session) as client:
            answer = client.get("/messages/stream")
            assert answer.status_code == 403
            assert "messaging.view_message" in answer.text


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "OPTIONS"])
def test_only_get(live: LiveSite, method: str) -> None:
    with live.client() as client:
        answer = client.request(method, "/messages/stream")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("last=-1", "last is a number from 0 to 1,000, not '-1'"),
        ("last=1001", "'1001'"),
        ("last=ten", "'ten'"),
        ("last=", "not ''"),
        ("channel=", "channel has 1 to 255 characters, not 0: ''"),
        (f"channel={'x' * 256}", "not 256"),
        ("channel=a%00b", "only printable characters: 'a\\x00b'"),
        ("&".join(["channel=x"] * 51), "at most 50 times channel=, here are 51"),
        ("channel=" + "[a]*" * 9, "a pattern has at most 16 of [ and *: '[a]*"),
    ],
)
def test_bad_queries_are_told_what_is_wrong(live: LiveSite, query: str, said: str) -> None:
    with live.client() as client:
        answer = client.get(f"/messages/stream?{query}")
    assert answer.status_code == 400
    assert said in answer.text


def test_a_foreign_host_name_is_refused(live: LiveSite) -> None:
    answer = httpx.get(
        f"{live.url}/messages/stream", headers={"Host": "evil.example"}, timeout=PATIENCE, trust_env=False
    )
    assert answer.status_code == 400


def test_open_streams_hold_no_database_connection(live: LiveSite) -> None:
    def held() -> list[str]:
        links = [fd.readlink().name for fd in Path(f"/proc/{live.web.pid}/fd").iterdir() if fd.is_symlink()]
        return [name for name in links if name.startswith("db.sqlite3")]

    with live.listen("db", last=500).live(), live.listen("db.*", last=500).live():
        eventually(lambda: not held())


def test_everything_else_is_djangos(live: LiveSite) -> None:
    for path, status in (
        ("/healthz", 200),
        ("/messages/stream/", 404),
        ("/x/messages/stream", 404),
        ("/messages/", 200),
    ):
        with live.client() as client:
            assert client.get(path).status_code == status
