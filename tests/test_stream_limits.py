"""What ends a stream, and what a client that does not behave costs: heartbeats, age, permission, overload, stalls."""

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from messaging.publisher import publish_many
from tests.conftest import reset_clients
from tests.live_sites import LiveSite, live_site, resident_kib
from tests.processes import ROOT, python
from tests.servers import TestServer
from tests.sites import Database
from tests.sse import parse
from tests.waiting import eventually


def read_until(sock: socket.socket, end: bytes, seen: bytes = b"") -> bytes:
    """What came on the socket, ``seen`` before, until ``end`` is in it."""
    while end not in seen:
        part = sock.recv(65536)
        if not part:
            raise AssertionError(f"closed before {end!r}: {seen[-500:]!r}")
        seen += part
    return seen


def body_of(seen: bytes) -> bytes:
    """A chunked response without its head and its chunk sizes."""
    _, _, rest = seen.partition(b"\r\n\r\n")
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    return body


@pytest.fixture
def at(broker: TestServer, database_template: Database) -> Iterator[LiveSite]:
    """A site with small limits."""
    with live_site(
        database_template,
        broker.url,
        LIVE_HEARTBEAT_SECONDS=0.5,
        LIVE_RECHECK_SECONDS=0.5,
        LIVE_SEND_SECONDS=4,
        LIVE_MAX_STREAMS=3,
        LIVE_RING=50_000,
    ) as site:
        yield site


def test_heartbeats_after_silence_only(at: LiveSite, broker: TestServer) -> None:
    with at.connect("last=0&channel=mine") as sock:
        started = time.monotonic()
        seen = read_until(sock, b": beat\n")
        assert time.monotonic() - started > 0.4
        publish_many([("others", n) for n in range(3)])
        # what was for others is not read again when this client resumes
        seen = read_until(sock, b"event: position", seen)
        seen = read_until(sock, b'","now":', seen.rpartition(b"id: ")[2])
    (last,) = broker.client().xrevrange("messaging:{0}:log", count=1)
    told = re.match(rb'(.*)\nevent: position\ndata: {"position":"(.*)","now":', seen)
    assert told is not None
    assert told[1] == told[2]
    assert told[1].endswith(last[0])


def test_a_permission_withdrawn_ends_the_stream(at: LiveSite) -> None:
    with at.listen() as stream:
        stream.live()
        code = "import django; django.setup(); from django.contrib.auth.models import User; "
        take = f"{code}User.objects.update(is_superuser=False)"
        subprocess.run(python("-c", take), env=at.env, cwd=ROOT, check=True, timeout=30)
        eventually(lambda: stream.ended)
        assert stream.named("bye")[0].data == {"reason": "permission"}
    with at.client() as client:
        eventually(lambda: client.get("/messages/stream").status_code == 403)


def test_overload_is_a_stream_that_says_come_back(at: LiveSite) -> None:
    streams = [at.listen().live() for _ in range(3)]
    with at.client() as client:
        answer = client.get("/messages/stream")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        (bye,) = parse(answer.content)
        assert (bye.name, bye.data) == ("bye", {"reason": "overload", "limit": "total"})
        assert bye.retry is not None
        assert bye.retry >= 5000
        for stream in streams:
            stream.close()

        def has_room() -> bool:
            with at.listen() as another:
                return bool(another.live())

        # clients that leave are noticed at once, and make room
        eventually(has_room)


def test_a_client_that_reads_nothing_is_cut_off_and_costs_nobody_anything(at: LiveSite) -> None:
    # 16 MB for a client whose socket takes a few kilobytes
    before = resident_kib(at.web.pid)
    with at.connect("last=0", receive_buffer=4096) as stalled, at.listen("big").live() as reader:
        read_until(stalled, b"event: live")
        for _ in range(24):
            publish_many([("big", {"n": n, "x": "x" * 7000}) for n in range(100)])
        reader.until(lambda s: len(s.messages) == 2400)
        assert [message["event"]["data"]["n"] for message in reader.messages] == list(range(100)) * 24
        at.web.wait_for(r"a stream is dropped: its client took nothing for 4 s")
        ring = 2400 * 7400 // 1024
        assert resident_kib(at.web.pid) - before < ring * 1.5 + 8192

        def cut() -> bool:
            try:
                return not stalled.recv(1 << 20)
            except ConnectionResetError:
                return True

        eventually(cut)
        publish_many([("big", "still there")])
        reader.until(lambda s: s.messages[-1]["event"]["data"] == "still there")


def test_a_slow_client_misses_nothing(broker: TestServer, database_template: Database) -> None:
    """Its feed has dropped what it did not take in time: it is served from the log, and comes back to the feed."""
    with live_site(database_template, broker.url, LIVE_RING=20) as site, site.connect("last=0") as slow:
        seen = read_until(slow, b"event: live")
        for batch in range(20):
            publish_many([("slow", {"n": batch * 100 + n, "x": "x" * 4000}) for n in range(100)])
        with site.listen("fast", last=0).live():
            seen += read_until(slow, b'"n":1999,')
            publish_many([("slow", {"n": 2000, "x": ""})])
            seen += read_until(slow, b'"n":2000,')
    events = parse(body_of(seen[: seen.rindex(b"\n\n\r\n") + 4]))
    assert [event.data["event"]["data"]["n"] for event in events if event.name == "message"] == list(
        range(2001)
    )


def test_a_stream_ends_at_its_age_and_the_next_goes_on(
    broker: TestServer, database_template: Database
) -> None:
    with live_site(database_template, broker.url, LIVE_MAX_AGE_SECONDS=1) as site:
        got: list[int] = []
        since, lives, n = None, 0, 0
        while lives < 3:
            with site.listen("aged", since=since) as stream:
                stream.live()
                while not stream.ended:
                    publish_many([("aged", n)])
                    n += 1
                    time.sleep(0.01)
                bye = stream.named("bye")[0]
                assert bye.data == {"reason": "age"}
                assert bye.retry is not None
                assert 500 <= bye.retry <= 2000
                got += stream.payloads
                since = stream.last_id
                lives += 1
        assert all(after == before + 1 for before, after in pairwise(got))
        assert len(got) > 20


@pytest.fixture(autouse=True)
def _forget_clients() -> Iterator[None]:
    yield
    reset_clients()
