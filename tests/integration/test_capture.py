"""Capture: what foreign publishers send or queue stands in the log, once and in order, whatever it is."""

import logging
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from pytest_django import Settings

import messaging
from messaging import capture, connection, keys, log, scripts
from messaging.capture import ChannelCapture, ListCapture
from messaging.errors import BrokerFull
from messaging.event import Event
from messaging.foreign import LIST, PUBSUB
from messaging.lease import Fenced, Lease
from tests.servers import TestServer
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("broker")


@pytest.fixture
def outside(broker: TestServer) -> redis.Redis:
    """A client that knows nothing of us."""
    return broker.client()


def events(partition: int = 0) -> list[Event]:
    entries = log.between(connection.client(), partition, log.START, None, count=100_000)
    return [entry.event() for entry in entries]


def data() -> list[object]:
    return [event.data for event in events()]


Start = Callable[..., ChannelCapture]


@pytest.fixture
def start(broker: TestServer) -> Iterator[Start]:
    """`start("orders.*")`: a capture in a thread, subscribed; what it raises fails the test unless it is expected."""
    stopping = threading.Event()
    threads: list[threading.Thread] = []
    captures: list[ChannelCapture] = []
    failures: list[Exception] = []

    def run(made: ChannelCapture, expected: tuple[type[Exception], ...]) -> None:
        while not stopping.is_set():
            try:
                made.step(stopping)
            except expected:
                stopping.wait(0.01)
            except Exception as error:
                failures.append(error)
                return

    def begin(*subscriptions: str, expected: tuple[type[Exception], ...] = ()) -> ChannelCapture:
        made = ChannelCapture(connection.client(), subscriptions)
        captures.append(made)
        threads.append(threading.Thread(target=run, args=[made, expected]))
        threads[-1].start()
        eventually(lambda: is_heard(broker, made), message="it is subscribed")
        return made

    yield begin
    stopping.set()
    for thread in threads:
        thread.join(10)
    for made in captures:
        made.close()
    assert failures == []


def is_heard(server: TestServer, made: ChannelCapture) -> bool:
    """Its own probe is subscribed, and all of its patterns, which come after it."""
    counted = server.client().execute_command("PUBSUB", "NUMSUB", made._probe)
    return counted[1] == 1 and (
        not made._patterns or server.client().pubsub_numpat() >= len(set(made._patterns))
    )


def arrived(count: int) -> list[Event]:
    """The log, once it has so many."""
    eventually(lambda: len(events()) >= count, message=f"{count} messages")
    return events()


# -- Pub/Sub -----------------------------------------------------------------------------------------------------


def test_what_others_publish_stands_in_the_log(start: Start, outside: redis.Redis) -> None:
    start("updates", "orders.*")
    outside.publish("updates", "New data available")
    outside.publish("orders.created", '{"id": 1}')
    outside.publish("elsewhere", "not asked for")
    outside.publish("updates", "end")
    assert [(event.channel, event.data, event.source) for event in arrived(3)] == [
        ("updates", "New data available", PUBSUB),
        ("orders.created", {"id": 1}, PUBSUB),
        ("updates", "end", PUBSUB),
    ]


def test_thousands_arrive_once_and_in_order(start: Start, outside: redis.Redis) -> None:
    start("*")
    pipe = outside.pipeline(transaction=False)
    for n in range(5000):
        pipe.publish("updates", n)
    pipe.execute()
    arrived(5000)
    assert data() == list(range(5000))


def test_our_own_messages_are_not_captured(start: Start, outside: redis.Redis) -> None:
    made = start("*")
    for n in range(50):
        messaging.publish("updates", n)
    outside.publish("updates", "foreign")
    arrived(51)
    assert data() == [*range(50), "foreign"]
    assert made.captured == 1


def test_our_own_messages_are_known_from_the_first_one_after_a_rebirth(
    start: Start, outside: redis.Redis
) -> None:
    made = start("*")
    for round_ in range(1, 6):
        outside.flushall()
        for n in range(5):
            messaging.publish("updates", n)
        outside.publish("updates", "foreign")
        eventually(lambda: made.captured >= round_)  # noqa: B023 (it is called within the loop)
        assert made.captured == round_


def test_messages_of_another_site_on_the_same_server_are_foreign(
    settings: Settings, outside: redis.Redis
) -> None:
    stopping = threading.Event()
    made = ChannelCapture(connection.client(), ["*"])
    made.step(stopping)
    ours = settings.MESSAGING
    settings.MESSAGING = ours | {"NAMESPACE": "other", "SOURCE": "/other"}
    events_of_other = [messaging.publish("updates", n) for n in range(20)]
    settings.MESSAGING = ours
    eventually(lambda: made.step(stopping) or made.captured == 20)
    assert [event.id for event in events()] == [event.id for event in events_of_other]
    made.close()
    outside.delete("other:{0}:log", "other:{0}:epoch")


@pytest.mark.parametrize(
    "subscriptions",
    [
        ("updates", "up*", "*dates", "*"),
        ("*", "up*", "*"),
        ("updates", "updates"),
        ("u[p]dates", "updates"),
        ("up*", "up**", "u*"),
    ],
)
def test_a_channel_that_several_subscriptions_match_is_captured_once(
    start: Start, outside: redis.Redis, subscriptions: tuple[str, ...]
) -> None:
    start(*subscriptions)
    outside.publish("updates", 1)
    outside.publish("updates", 2)
    arrived(2)
    assert data() == [1, 2]


@pytest.mark.parametrize(
    "channel",
    [
        "__keyspace@0__:a",
        "__keyevent@0__:set",
        "asgi__group__chat",
        "celery.pidbox",
        "/0.celery.pidbox",
        "_kombu.binding.x",
        "rq:pubsub",
        "messaging:probe:1",
        "__sentinel__:hello",
        "+switch-master",
    ],
)
def test_what_other_frameworks_say_to_themselves_is_not_captured(
    start: Start, outside: redis.Redis, channel: str
) -> None:
    start("*", channel)
    outside.publish(channel, "internal")
    outside.publish("updates", "end")
    arrived(1)
    assert data() == ["end"]


def test_the_channel_prefix_is_a_wall(start: Start, outside: redis.Redis, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"CHANNEL_PREFIX": "stage[1]:"}
    start("updates", "orders.*")
    outside.publish("updates", "production")
    outside.publish("stage1:updates", "production")
    outside.publish("stage[1]:updates", 1)
    outside.publish("stage[1]:orders.created", 2)
    messaging.publish("updates", 3)
    outside.publish("stage[1]:updates", 4)
    arrived(4)
    assert sorted((event.data, event.channel) for event in events()) == [
        (1, "updates"),
        (2, "orders.created"),
        (3, "updates"),
        (4, "updates"),
    ]


@pytest.mark.parametrize(
    "channel",
    [b"with *[glob]? \\", b"a b", b"line\nbreak", "ünï 🎉".encode(), b"\xff\xfe", b"\x00", b"x" * 10_000],
    ids=repr,
)
def test_an_odd_channel_name_arrives_with_its_bytes(
    start: Start, outside: redis.Redis, channel: bytes
) -> None:
    start("*")
    outside.publish(channel, 1)
    (event,) = arrived(1)
    assert b64decode(event.headers["rawchannel"]) == channel[:3000]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"\xff\x00", b"\xff\x00"),
        (b"", ""),
        (b"\x00", "\x00"),
        (b"NaN", "NaN"),
        (b"[" * 5000, "[" * 5000),
        (b"{" + b'"a":1,' * 20 + b'"a":2}', {"a": 2}),
    ],
)
def test_an_odd_payload_arrives(start: Start, outside: redis.Redis, sent: bytes, expected: object) -> None:
    start("*")
    outside.publish("updates", sent)
    assert [event.data for event in arrived(1)] == [expected]


def test_ten_megabytes_arrive_as_their_beginning_and_hold_up_nobody(
    start: Start, outside: redis.Redis
) -> None:
    start("*")
    for n in range(3):
        outside.publish("updates", "x" * (10 * 1024 * 1024))
        outside.publish("updates", n)
    arrived(6)
    assert [event.headers.get("originalsize") for event in events()] == ["10485760", None] * 3


def test_large_messages_are_appended_in_several_calls(
    start: Start, outside: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "CHUNK_BYTES", 100_000)
    start("*")
    pipe = outside.pipeline(transaction=False)
    for n in range(40):
        pipe.publish("updates", f"{n:03}" + "x" * 40_000)
    pipe.execute()
    arrived(40)
    assert [str(each)[:3] for each in data()] == [f"{n:03}" for n in range(40)]


def test_partitions_keep_each_channels_order(start: Start, outside: redis.Redis, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"PARTITIONS": 3}
    made = start("*")
    for n in range(60):
        outside.publish(f"c{n % 7}", n)
    eventually(lambda: made.captured == 60)
    for partition in range(3):
        for event in events(partition):
            assert keys.partition_of(event.channel) == partition
    found = [event for partition in range(3) for event in events(partition)]
    for channel in range(7):
        here = [event.data for event in found if event.channel == f"c{channel}"]
        assert here == list(range(channel, 60, 7))


def test_while_the_log_is_full_nothing_is_lost(
    start: Start, outside: redis.Redis, settings: Settings
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"MAX_LOG_ENTRIES": 10}
    made = start("*", expected=(BrokerFull,))
    for n in range(50):
        outside.publish("updates", n)
    eventually(lambda: made.captured == 10)
    seen: list[object] = []
    for _ in range(5):
        eventually(lambda: len(data()) == 10)
        seen += data()
        outside.xtrim(keys.log(0), maxlen=0, approximate=False)
    assert seen == list(range(50))


def test_after_its_connection_was_killed_it_subscribes_again(start: Start, outside: redis.Redis) -> None:
    start("*", expected=(redis.ConnectionError,))
    outside.publish("updates", 1)
    arrived(1)
    outside.client_kill_filter(_type="pubsub")
    eventually(lambda: outside.publish("updates", "again") and len(events()) >= 2)
    assert data()[0] == 1
    assert data()[-1] == "again"


def test_a_subscription_that_falls_silent_without_closing_is_noticed_and_made_anew(
    broker: TestServer,
    outside: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its socket is swapped for one on which nobody ever says anything."""
    monkeypatch.setattr(capture, "PROBE_SECONDS", 0.2)
    monkeypatch.setattr(capture, "SILENT_SECONDS", 1.0)
    stopping = threading.Event()
    made = ChannelCapture(connection.client(), ["*"])
    made.step(stopping)
    # The server forgets the subscription, but the connection stays open: as silent as a half-open socket.
    assert made._pubsub is not None
    made._pubsub.connection.send_command("PUNSUBSCRIBE")
    made._pubsub.connection.send_command("UNSUBSCRIBE")
    with pytest.raises(redis.ConnectionError, match="silent"):
        eventually(lambda: made.step(stopping))
    made.step(stopping)
    outside.publish("updates", "after")
    eventually(lambda: made.step(stopping) or events())
    assert data() == ["after"]
    made.close()


def test_a_quiet_subscription_that_works_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, broker: TestServer
) -> None:
    monkeypatch.setattr(capture, "PROBE_SECONDS", 0.1)
    monkeypatch.setattr(capture, "SILENT_SECONDS", 1.0)
    stopping = threading.Event()
    made = ChannelCapture(connection.client(), ["quiet"])
    deadline = time.monotonic() + 2.5
    while time.monotonic() < deadline:
        made.step(stopping)
    assert events() == []
    made.close()


# -- lists -------------------------------------------------------------------------------------------------------


class Drain:
    """A list capture in a thread."""

    def __init__(self, name: str, expected: tuple[type[Exception], ...] = ()) -> None:
        self.capture = ListCapture(connection.client(), name)
        self.stopping = threading.Event()
        self.raised: list[Exception] = []
        self._expected = expected
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                self.capture.step(self.stopping)
            except Exception as error:
                self.raised.append(error)
                self.stopping.wait(0.01)

    def stop(self) -> None:
        self.stopping.set()
        self._thread.join(10)
        assert all(isinstance(each, self._expected or ()) for each in self.raised), self.raised


@pytest.fixture
def drain_list() -> Iterator[Callable[..., Drain]]:
    started: list[Drain] = []

    def begin(*args: Any, **options: Any) -> Drain:
        started.append(Drain(*args, **options))
        return started[-1]

    yield begin
    for each in started:
        each.stop()


def test_a_list_is_drained_first_in_first_out(drain_list: Callable[..., Drain], outside: redis.Redis) -> None:
    outside.lpush("inbox", "task1")
    outside.lpush("inbox", "task2")
    drain_list("inbox")
    arrived(2)
    outside.lpush("inbox", '{"task": 3}', b"\xff")
    arrived(4)
    assert [(event.channel, event.data, event.source) for event in events()] == [
        ("inbox", "task1", LIST),
        ("inbox", "task2", LIST),
        ("inbox", {"task": 3}, LIST),
        ("inbox", b"\xff", LIST),
    ]
    assert not outside.exists("inbox")


def test_thousands_of_items_and_large_ones_are_drained_in_order(
    drain_list: Callable[..., Drain], outside: redis.Redis
) -> None:
    items = [f"{n:04}" + "x" * (3_000_000 if n % 500 == 7 else 10) for n in range(2000)]
    for start in range(0, 2000, 500):
        outside.lpush("inbox", *items[start : start + 500])
    drain_list("inbox")
    arrived(2000)
    assert data() == items


def test_two_that_drain_one_list_move_each_item_once(
    drain_list: Callable[..., Drain], outside: redis.Redis
) -> None:
    both = [drain_list("inbox"), drain_list("inbox")]
    for n in range(0, 3000, 100):
        outside.lpush("inbox", *range(n, n + 100), "same", "same")
    arrived(3060)
    assert [each for each in data() if each != "same"] == list(range(3000))
    assert len(events()) == 3060
    assert sum(each.capture.captured for each in both) == 3060


def test_a_list_waits_while_the_log_is_full(
    drain_list: Callable[..., Drain], outside: redis.Redis, settings: Settings
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"MAX_LOG_ENTRIES": 3}
    outside.lpush("inbox", *range(5))
    drain = drain_list("inbox", expected=(BrokerFull,))
    eventually(lambda: drain.raised)
    assert "list 'inbox' waits for room" in str(drain.raised[0])
    assert outside.lrange("inbox", 0, -1) == [b"4", b"3"]
    seen = data()
    outside.xtrim(keys.log(0), maxlen=0, approximate=False)
    arrived(2)
    assert seen + data() == [0, 1, 2, 3, 4]


def test_a_list_of_another_type_is_an_error_until_it_is_one(
    drain_list: Callable[..., Drain], outside: redis.Redis
) -> None:
    outside.set("inbox", "not a list")
    drain = drain_list("inbox", expected=(redis.ResponseError,))
    eventually(lambda: drain.raised)
    assert "WRONGTYPE" in str(drain.raised[0])
    outside.delete("inbox")
    outside.lpush("inbox", 1)
    arrived(1)
    assert data() == [1]


def test_an_item_whose_capture_is_repeated_after_a_lost_reply_is_not_taken_twice(
    outside: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = scripts.move
    stopping = threading.Event()

    def move_and_lose_the_reply(*args: Any, **options: Any) -> int:
        move(*args, **options)
        raise redis.TimeoutError("no answer")

    outside.lpush("inbox", 1, 2)
    made = ListCapture(connection.client(), "inbox")
    with monkeypatch.context() as patch:
        patch.setattr(scripts, "move", move_and_lose_the_reply)
        with pytest.raises(redis.TimeoutError):
            made.step(stopping)
    made.step(stopping)
    assert data() == [1, 2]


def test_the_name_of_a_list_may_be_odd(drain_list: Callable[..., Drain], outside: redis.Redis) -> None:
    outside.lpush("in box/ünï*", 1)
    drain_list("in box/ünï*")
    (event,) = arrived(1)
    assert (event.channel, b64decode(event.headers["rawchannel"]).decode()) == (
        "in\\x20box/ünï*",
        "in box/ünï*",
    )


def test_nothing_of_a_message_is_logged(
    start: Start, outside: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        start("*")
        outside.publish("updates", "confidential")
        arrived(1)
    assert "confidential" not in caplog.text


# -- two listeners -----------------------------------------------------------------------------------------------


def two_captures(fenced: bool) -> tuple[ChannelCapture, ChannelCapture, Lease, Lease]:
    """One that has frozen past its lease, and the one that took over; both are subscribed."""
    made = []
    for owner in ("frozen", "new"):
        lease = Lease(connection.client())
        lease.owner = owner
        connection.client().delete(keys.lease())  # it has ended meanwhile
        assert lease.hold()
        if fenced:
            lease.raise_fences()
        made.append((ChannelCapture(connection.client(), ["updates"], token=lease.token), lease))
        made[-1][0].step(threading.Event())  # subscribes
    connection.client().delete(keys.lease())
    (first, old), (second, new) = made
    return first, second, old, new


@pytest.mark.parametrize("fenced", [True, False])
def test_a_message_that_two_listeners_heard_is_stored_once(outside: redis.Redis, fenced: bool) -> None:
    """Without the fence (the known-bad variant) it is stored twice."""
    first, second, _, _ = two_captures(fenced)
    outside.publish("updates", 1)
    assert sorted(stepped(first, second)) == ([False, True] if fenced else [True, True])
    assert data() == [1] * (1 if fenced else 2)


def stepped(*captures: ChannelCapture) -> list[bool]:
    """Each takes what it has heard, the one that woke up first; was it let?"""
    done = []
    for made in captures:
        try:
            for _ in range(50):
                made.step(threading.Event())
                if made.captured:
                    break
            done.append(True)
        except Fenced:
            done.append(False)
        made.close()
    return done


def test_an_item_that_two_listeners_saw_is_moved_once(
    outside: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bytes twice, so that the one that wakes up cannot tell them from those it has seen."""
    first, second, old, new = two_captures(fenced=True)
    first.close()
    second.close()
    outside.lpush("inbox", "same", "same")
    peek = scripts.peek

    def overtaken(*args: Any, **options: Any) -> list[bytes]:
        seen = peek(*args, **options)
        with monkeypatch.context() as patch:
            patch.setattr(scripts, "peek", peek)
            ListCapture(connection.client(), "inbox", token=new.token).step(threading.Event())
        outside.lpush("inbox", "same")
        return seen

    monkeypatch.setattr(scripts, "peek", overtaken)
    with pytest.raises(Fenced):
        ListCapture(connection.client(), "inbox", token=old.token).step(threading.Event())
    assert data() == ["same", "same"]
    assert outside.lrange("inbox", 0, -1) == [b"same"]
    outside.delete("inbox")
