"""A client that was away, a log that was trimmed, a Redis that goes and comes: every message, or a gap that is told."""

import json
import signal
import subprocess
from collections.abc import Iterator

import pytest

from messaging import publish
from messaging.publisher import publish_many
from tests.live_sites import UVICORN, LiveSite, live_site
from tests.processes import ROOT, Process, python
from tests.servers import TestServer
from tests.sites import Database
from tests.sse import Listening
from tests.test_stream_twins import RUNSERVER
from tests.waiting import eventually

LOG, EPOCH = "messaging:{0}:log", "messaging:{0}:epoch"


@pytest.fixture
def live(broker: TestServer, database_template: Database) -> Iterator[LiveSite]:
    """A process that remembers ten messages."""
    with live_site(database_template, broker.url, LIVE_RING=10) as site:
        yield site


@pytest.fixture
def relay(live: LiveSite) -> Iterator[Process]:
    """A listener that stores what the log has."""
    process = Process(python("manage.py", "listen"), env=live.env)
    yield process
    process.clean_up()


def rows(live: LiveSite) -> int:
    code = "import django; django.setup(); from messaging.models import Message; "
    count = f"{code}print(Message.objects.stored().count())"
    done = subprocess.run(
        python("-c", count), env=live.env, cwd=ROOT, check=True, stdout=subprocess.PIPE, timeout=60
    )
    return int(done.stdout)


def numbers(channel: str, start: int, end: int) -> None:
    for at in range(start, end, 500):
        publish_many([(channel, n) for n in range(at, min(at + 500, end))])


def caught_up(live: LiveSite, channel: str, value: object) -> None:
    """Waits until the server process has read what was published."""

    def newest() -> bool:
        with live.listen(channel, last=1).live() as stream:
            return stream.payloads[-1:] == [value]

    eventually(newest)


def newest_id(live: LiveSite, channel: str) -> str:
    """The id of the channel's newest message, as a client has it."""
    with live.listen(channel, last=1) as stream:
        return stream.until(lambda s: s.named("message"))[-1].last_id


# -- from the log and from the table


def test_history_that_memory_has_not_comes_from_the_log(live: LiveSite) -> None:
    numbers("h", 0, 300)
    numbers("noise", 0, 30)
    caught_up(live, "noise", 29)
    with live.listen("h", last=100).live() as names, live.listen("[h]", last=100).live() as glob:
        assert names.payloads == glob.payloads == list(range(200, 300))


def test_a_client_catches_up_from_the_log(live: LiveSite) -> None:
    publish("c", 0)
    since = newest_id(live, "c")
    numbers("c", 1, 1800)
    caught_up(live, "c", 1799)
    with live.listen("c", since=since).live() as stream:
        assert stream.payloads == list(range(1, 1800))
        assert not stream.named("gap")
        publish("c", 1800)
        stream.until(lambda s: s.payloads[-1] == 1800)


def test_a_client_catches_up_while_messages_flow(live: LiveSite) -> None:
    publish("c", 0)
    since = newest_id(live, "c")
    numbers("c", 1, 3000)
    with live.listen("c", since=since) as stream:
        for start in range(3000, 5000, 50):
            publish_many([("c", n) for n in range(start, start + 50)])
        stream.until(lambda s: s.payloads[-1] == 4999)
        assert stream.payloads == list(range(1, 5000))


def test_what_the_log_has_dropped_comes_from_the_table(
    live: LiveSite, relay: Process, broker: TestServer
) -> None:
    numbers("t", 0, 20)
    caught_up(live, "t", 19)
    since = newest_id(live, "t")
    numbers("t", 20, 1300)
    eventually(lambda: rows(live) == 1300, every=0.3)
    broker.client().xtrim(LOG, maxlen=100, approximate=False)
    for channels in (["t"], ["t*"], []):
        with live.listen(*channels, since=since).live() as stream:
            assert stream.payloads == list(range(20, 1300))
            assert not stream.named("gap")


def test_rare_history_comes_from_the_table(live: LiveSite, relay: Process, broker: TestServer) -> None:
    numbers("rare", 0, 5)
    numbers("noise", 0, 200)
    eventually(lambda: rows(live) == 205, every=0.3)
    broker.client().xtrim(LOG, maxlen=100, approximate=False)
    with live.listen("rare", last=3).live() as stream:
        assert stream.payloads == [2, 3, 4]
        (since,) = [event.last_id for event in stream.named("message") if event.data["event"]["data"] == 3]
    with live.listen("rare", since=since).live() as stream:
        assert stream.payloads == [4]
        assert not stream.named("gap")


def test_what_nobody_has_is_a_gap(live: LiveSite, broker: TestServer) -> None:
    publish("g", 0)
    since = newest_id(live, "g")
    numbers("g", 1, 300)
    broker.client().xtrim(LOG, maxlen=50, approximate=False)
    with live.listen("g", since=since).live() as stream:
        (gap,) = stream.named("gap")
        assert gap.data["reason"] == "trimmed"
        assert gap.data["from"] == since
        assert stream.payloads == list(range(250, 300))
        assert [event.name for event in stream.events[:3]] == ["hello", "gap", "message"]
    # a client that has been told goes on behind the gap
    with live.listen("g", since=gap.last_id).live() as stream:
        assert stream.payloads == list(range(250, 300))
        assert not stream.named("gap")


def test_a_place_before_a_log_that_is_whole_misses_nothing(live: LiveSite, broker: TestServer) -> None:
    """As of a page that looks two hours back into a site of yesterday's."""
    numbers("w", 0, 30)
    epoch, _, position = newest_id(live, "w").partition(".")
    earlier = f"{epoch}.{int(position.partition('-')[0]) - 7_200_000}-0"
    with live.listen("w", since=earlier).live() as stream:
        assert stream.payloads == list(range(30))
        assert not stream.named("gap")
    broker.client().xtrim(LOG, maxlen=10, approximate=False)
    with live.listen("w", since=earlier).live() as stream:
        assert stream.payloads == list(range(20, 30))
        assert [gap.data["reason"] for gap in stream.named("gap")] == ["trimmed"]


def test_what_was_trimmed_before_it_was_stored_is_a_gap(
    live: LiveSite, relay: Process, broker: TestServer
) -> None:
    numbers("u", 0, 20)
    caught_up(live, "u", 19)
    with live.listen("u", last=20).live() as stream:
        since = stream.named("message")[5].last_id
    eventually(lambda: rows(live) == 20, every=0.3)
    relay.terminate()
    numbers("u", 20, 300)
    caught_up(live, "u", 299)
    broker.client().xtrim(LOG, maxlen=50, approximate=False)
    for channels in (["u"], ["[u]"]):
        with live.listen(*channels, since=since).live() as stream:
            assert stream.payloads == [*range(6, 20), *range(250, 300)]
            assert [gap.data["reason"] for gap in stream.named("gap")] == ["trimmed"]


def far_behind(live: LiveSite, messages: int) -> str:
    """The place of the first of so many messages that a server has read."""
    publish("far", 0)
    since = newest_id(live, "far")
    numbers("far", 1, messages)
    caught_up(live, "far", messages - 1)
    return since


def test_a_client_too_far_behind_skips_to_now(broker: TestServer, database_template: Database) -> None:
    with live_site(database_template, broker.url, LIVE_RING=10, LIVE_CATCH_UP=500) as live:
        since = far_behind(live, 2000)
        with live.listen("far", since=since).live() as stream:
            assert [gap.data["reason"] for gap in stream.named("gap")] == ["overrun"]
            assert stream.payloads == list(range(1, len(stream.payloads) + 1))
            publish("far", "now")
            stream.until(lambda s: s.payloads[-1] == "now")


def test_a_client_that_hardly_anything_is_for_has_not_the_whole_log_read(
    broker: TestServer, database_template: Database
) -> None:
    with live_site(database_template, broker.url, LIVE_RING=10, LIVE_CATCH_UP=100) as live:
        since = far_behind(live, 3000)
        with live.listen("n[o]ne", since=since).live() as stream:
            assert [gap.data["reason"] for gap in stream.named("gap")] == ["overrun"]
            publish("none", "now")
            stream.until(lambda s: s.payloads == ["now"])


# -- Redis goes and comes


def test_a_log_that_begins_anew_is_a_gap_for_everybody(live: LiveSite, broker: TestServer) -> None:
    publish("r", 1)
    with live.listen("r", last=5).live() as stream, live.listen("other").live() as other:
        before = stream.last_id
        broker.client().flushall()
        publish_many([("r", n) for n in (2, 3)])
        stream.until(lambda s: s.payloads == [1, 2, 3])
        (gap,) = stream.named("gap")
        assert gap.data["reason"] == "reborn"
        assert gap.data["from"] == before
        assert [event.name for event in stream.events[-3:]] == ["gap", "message", "message"]
        other.until(lambda s: s.named("gap"))
        epoch = broker.client().get(EPOCH).decode()
        assert stream.last_id.startswith(f"{epoch}.")
    # both clients resume behind the gap, and nobody hears of it twice
    with live.listen("r", since=gap.last_id).live() as again:
        assert again.payloads == [2, 3]
        assert not again.named("gap")


def test_an_emptied_log_is_noticed_without_a_message(live: LiveSite, broker: TestServer) -> None:
    publish("r", 1)
    with live.listen("r", last=5).live() as stream:
        broker.client().flushall()
        stream.until(lambda s: s.named("gap"))
        with live.listen("r", since=stream.named("message")[0].last_id).live() as again:
            assert again.named("gap")
            publish("r", 2)
            for each in (stream, again):
                each.until(lambda s: s.payloads[-1:] == [2])
                assert len(each.named("gap")) == 1


def test_a_restart_of_redis_loses_nothing(live: LiveSite, broker: TestServer) -> None:
    with live.listen("s").live() as stream:
        publish("s", 0)
        for n in range(1, 4):
            stream.until(lambda s, n=n: len(s.payloads) == n)
            broker.restart()
            publish_many([("s", n)])
        stream.until(lambda s: len(s.payloads) == 4)
        assert stream.payloads == [0, 1, 2, 3]
        assert not stream.named("gap")
    live.web.wait_for("live streams go on, Redis at .* answers again")
    assert live.web.output.count("live streams wait") <= 3


def test_a_redis_that_was_trimmed_meanwhile(live: LiveSite, relay: Process, broker: TestServer) -> None:
    """The process was cut off, the log went on and was trimmed: its clients find in the table what they missed."""
    with live.listen("m").live() as stream:
        numbers("m", 0, 5)
        stream.until(lambda s: s.payloads == [0, 1, 2, 3, 4])
        live.web.signal(signal.SIGSTOP)
        try:
            broker.client().client_kill_filter(_type="normal", skipme=True)
            numbers("m", 5, 400)
            eventually(lambda: rows(live) == 400, every=0.3)
            broker.client().xtrim(LOG, maxlen=50, approximate=False)
        finally:
            live.web.signal(signal.SIGCONT)
        stream.until(lambda s: len(s.payloads) == 400)
        assert stream.payloads == list(range(400))
        assert not stream.named("gap")


def test_clients_wait_for_a_redis_that_is_not_there_yet(
    broker: TestServer, database_template: Database
) -> None:
    broker.stop()
    with live_site(database_template, broker.url) as live, live.connect("last=5") as sock:
        seen = b""
        while b": Redis is away" not in seen:
            seen += sock.recv(4096)
        assert b"event:" not in seen
        broker.start()
        while b"event: live" not in seen:
            seen += sock.recv(4096)
        publish("late", 1)
        while b'"subject":"late"' not in seen:
            seen += sock.recv(4096)


def test_a_redis_that_hangs_is_noticed(live: LiveSite, broker: TestServer) -> None:
    with live.listen("hang").live() as stream:
        broker.signal(signal.SIGSTOP)
        try:
            live.web.wait_for("live streams wait, .* no word for 10 s")
            # what is in memory is served all the same, at once
            with live.listen("hang", last=0).live():
                pass
        finally:
            broker.signal(signal.SIGCONT)
        publish("hang", 1)
        stream.until(lambda s: s.payloads == [1])


def test_several_partitions(broker: TestServer, database_template: Database, settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"PARTITIONS": 3}
    channels = [f"part.{n}" for n in range(9)]
    with live_site(database_template, broker.url, PARTITIONS=3, LIVE_RING=10) as live:
        publish_many([(channel, n) for n in range(20) for channel in channels])
        for channel in channels:
            caught_up(live, channel, 19)
        with live.listen("part.*", last=1000).live() as stream, live.listen("part.3", last=7).live() as one:
            publish_many([(channel, n) for n in range(20, 25) for channel in channels])
            stream.until(lambda s: len(s.messages) == 25 * 9)
            one.until(lambda s: s.payloads == list(range(13, 25)))
            for channel in channels:
                of = [m["event"]["data"] for m in stream.messages if m["event"]["subject"] == channel]
                assert of == list(range(25))
            events = stream.named("message")
        assert all(event.last_id.count(",") == 2 for event in events)
        for read in (1, 60, 180, 181, 220):
            with live.listen("part.*", since=events[read - 1].last_id).live() as again:
                assert not again.named("gap")
                whole = [json.dumps(event.data) for event in (*events[:read], *again.named("message"))]
                assert len(whole) == 25 * 9
                assert len(set(whole)) == 25 * 9


# -- what the listener has recorded ---------------------------------------------------------------------------------


def told(stream: Listening) -> list[object]:
    """Messages by their payload and losses by their reason, in the order of the stream."""
    return [
        event.data["event"]["data"] if event.name == "message" else event.data["reason"]
        for event in stream.events
        if event.name in ("message", "loss")
    ]


@pytest.mark.parametrize("command", [UVICORN, RUNSERVER], ids=["uvicorn", "runserver"])
def test_a_history_says_what_was_lost_where_it_was(
    broker: TestServer, database_template: Database, command: tuple[str, ...]
) -> None:
    with live_site(database_template, broker.url, command=command) as live:
        listener = Process(python("manage.py", "listen"), env=live.env)
        try:
            publish("h", 1)
            eventually(lambda: rows(live) == 1, every=0.3)
            broker.client().flushall()
            publish("h", 2)
            eventually(lambda: rows(live) == 2, every=0.3)
            broker.kill()
            broker.start()
            listener.wait_for("Redis was restarted")
            publish("h", 3)
            eventually(lambda: rows(live) == 3, every=0.3)
        finally:
            listener.clean_up()
        with live.listen("h", last=10).live() as stream:
            # The web process may come back to Redis later than the listener: 3 is live then.
            stream.until(lambda s: told(s) == [1, "reborn", 2, "restarted", 3])
            assert all(event.last_id != "" for event in stream.named("loss"))  # that of the message before
            assert [event.data["missed"] for event in stream.named("loss")] == [None, None]
        with live.listen("h", last=1).live() as stream:
            assert told(stream) == [3]  # what lies further back is no part of it
        with live.listen("[h]", last=10).live() as stream:
            # from the log alone, and from what this process remembers
            assert told(stream)[-4:] == ["reborn", 2, "restarted", 3]
        with live.listen("h").live() as stream:
            assert told(stream) == []


def test_open_streams_hear_that_redis_was_restarted(
    live: LiveSite, relay: Process, broker: TestServer
) -> None:
    publish("k", 1)
    eventually(lambda: rows(live) == 1, every=0.3)
    with live.listen("k", last=5).live() as stream, live.listen("other").live() as other:
        assert told(stream) == [1]
        broker.kill()
        broker.start()
        relay.wait_for("Redis was restarted")
        other.until(lambda s: told(s) == ["restarted"])
        stream.until(lambda s: told(s) == [1, "restarted"])
        publish("k", 2)
        stream.until(lambda s: told(s) == [1, "restarted", 2])
