"""When recurring tasks are due, and that each tick is one task, whoever makes it."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import Settings

from messaging import connection, keys, recurring, schedule
from messaging.errors import Misconfigured
from messaging.recurring import Clock
from messaging.schedule import Recurring, parsed
from messaging.testing import run_tasks, waiting_tasks
from tests.servers import TestServer
from tests.subscribers import shop

MINUTE = 60_000
SEND = "tests.subscribers.shop.send"
REPORT = "tests.subscribers.shop.report"


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1000


def local(ticks: list[int], rule: Recurring) -> list[str]:
    return [f"{datetime.fromtimestamp(tick / 1000, rule.zone):%m-%d %H:%M %z}" for tick in ticks]


def rule(cron: str, zone: str = "Europe/Berlin", **entry: object) -> Recurring:
    return parsed("r", {"task": SEND, "cron": cron, **entry}, zone=zone)


def test_an_interval_counts_from_1970_so_that_everybody_finds_the_same_ticks() -> None:
    every = parsed("r", {"task": SEND, "every": timedelta(seconds=90)}, zone="UTC")
    assert every.due(0, 300_000) == [90_000, 180_000, 270_000]
    assert every.due(90_000, 180_000) == [180_000]
    assert every.due(90_000, 179_999) == []


def test_of_more_ticks_than_can_be_caught_up_with_the_latest_are_due() -> None:
    every = parsed("r", {"task": SEND, "every": 1}, zone="UTC")
    due = every.due(0, ms("2026-01-01T00:00:00Z"))
    assert len(due) == schedule.MOST
    assert due[-1] == ms("2026-01-01T00:00:00Z")
    minutely = rule("* * * * *")
    due = minutely.due(ms("2020-01-01T00:00:00Z"), ms("2026-01-01T00:00:30Z"))
    assert due[-1] == ms("2026-01-01T00:00:00Z")
    assert rule("0 3 1 * *").due(ms("1970-01-02T00:00:00Z"), ms("2070-01-01T00:00:00Z"))[-1] == ms(
        "2069-12-01T02:00:00Z"
    )


@pytest.mark.parametrize(
    ("cron", "day", "expected"),
    [
        ("30 2 * * *", "2026-03-29", ["03-29 03:00 +0200"]),  # there is no 02:30 on that day
        ("30 2 * * *", "2026-10-25", ["10-25 02:30 +0200"]),  # there are two
        ("15 12 * * *", "2026-03-29", ["03-29 12:15 +0200"]),
        ("15 12 * * *", "2026-10-25", ["10-25 12:15 +0100"]),
        (
            "*/30 1-3 * * *",  # runs by the clock of the world, not of the wall
            "2026-10-25",
            [f"10-25 {time}" for time in ("01:00 +0200", "01:30 +0200", "02:00 +0200", "02:30 +0200")]
            + [f"10-25 {time}" for time in ("02:00 +0100", "02:30 +0100", "03:00 +0100", "03:30 +0100")],
        ),
    ],
)
def test_summer_time_neither_loses_nor_doubles_a_time_of_day(
    cron: str, day: str, expected: list[str]
) -> None:
    found = rule(cron)
    begin = int(datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=found.zone).timestamp()) * 1000
    end = begin + 23 * 60 * MINUTE
    assert local(found.due(begin, end), found) == expected


def test_ticks_do_not_depend_on_when_one_looks() -> None:
    found = rule("30 2 * * *")
    begin, end = ms("2026-10-20T00:00:00Z"), ms("2026-11-01T00:00:00Z")
    whole = found.due(begin, end)
    piecewise: list[int] = []
    last = begin
    for now in range(begin, end, 7 * MINUTE):
        if due := found.due(last, now):
            piecewise += due
            last = due[-1]
    assert piecewise == whole
    assert len(whole) == 12


@pytest.mark.parametrize(
    ("policy", "now", "expected"),
    [
        ("all", 200_000, [30_000, 60_000, 90_000]),
        ("latest", 200_000, [90_000]),
        ("none", 200_000, []),
        ("none", 100_000, [90_000]),
    ],
)
def test_what_was_missed_is_caught_up_with_as_the_policy_has_it(
    policy: schedule.CatchUp, now: int, expected: list[int]
) -> None:
    found = Recurring("r", SEND, every_ms=30_000, catch_up=policy)
    assert list(found.chosen([30_000, 60_000, 90_000], now)) == expected


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("0 3 * * *", "it is a dict"),
        ({"cron": "0 3 * * *"}, "task is the import path"),
        ({"task": SEND}, 'either "cron" or "every"'),
        ({"task": SEND, "cron": "* * * * *", "every": 1}, 'either "cron" or "every"'),
        ({"task": SEND, "cron": "61 * * * *"}, "Bad minute"),
        ({"task": SEND, "cron": 5}, "cron is a line"),
        ({"task": SEND, "every": 0}, "every is a number of seconds"),
        ({"task": SEND, "every": 1, "catch_up": "maybe"}, "catch_up is one of"),
        ({"task": SEND, "every": 1, "time_zone": "Mars/Olympus"}, "no time zone 'Mars/Olympus'"),
        ({"task": SEND, "every": 1, "arguments": []}, "unknown key 'arguments'"),
        ({"task": SEND, "every": 1, "args": "text"}, "args is a list"),
    ],
)
def test_an_entry_that_cannot_work_is_named_with_what_is_wrong(entry: object, says: str) -> None:
    with pytest.raises(Misconfigured, match=says) as caught:
        parsed("nightly", entry, zone="UTC")  # type: ignore[arg-type]
    assert "SCHEDULE']['nightly']" in str(caught.value)


# -- ticking


@pytest.fixture
def scheduled(subscribing: None, settings: Settings) -> Iterator[None]:
    settings.MESSAGING = settings.MESSAGING | {
        "SCHEDULE": {
            "nightly": {"task": REPORT, "cron": "0 3 * * *", "args": ["monday"], "kwargs": {"copies": 2}},
            "often": {"task": SEND, "every": 30, "args": ["hello"], "queue": "mails", "catch_up": "all"},
        }
    }
    shop.calls.clear()
    yield
    connection.client().delete(keys.ticks())


def new_clock() -> Clock:
    return Clock(connection.client())


def test_each_tick_is_one_task_however_many_look(scheduled: None) -> None:
    entries, wrong = recurring.schedule()
    assert wrong == []
    now = ms("2026-01-01T02:59:59Z")
    assert [new_clock().tick(entries, now) for _ in range(2)] == [0, 0], "a new schedule begins now"
    together = threading.Barrier(4)
    made = []

    def look() -> None:
        clock = new_clock()
        together.wait()
        made.append(clock.tick(entries, now + 61_000))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(made) == 4, "one night, and three times half a minute"
    assert len(run_tasks()) == 4
    assert sorted(shop.calls) == [("report", "monday", 2)] + [("send", "hello")] * 3
    connection.client().delete(keys.ticks())
    assert [new_clock().tick(entries, now), new_clock().tick(entries, now + 61_000)] == [0, 0]
    assert run_tasks() == [], "not even when Redis forgot which was the latest"


def test_a_task_that_this_release_does_not_have_is_left_to_one_that_has(
    scheduled: None, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    found, clock = Recurring("x", "tests.subscribers.shop.nothing", every_ms=1000), new_clock()
    clock.tick([found], 10_000)
    for now in (11_000, 12_000):
        assert clock.tick([found], now) == 0
    assert caplog.text.count("cannot be enqueued") == 1
    assert new_clock().tick([Recurring("x", REPORT, every_ms=1000, catch_up="all")], 12_000) == 2


def test_a_clock_that_was_ahead_for_a_moment_stops_no_schedule(
    scheduled: None, caplog: pytest.LogCaptureFixture
) -> None:
    found, clock, day = Recurring("x", REPORT, every_ms=60_000), new_clock(), 86_400_000
    clock.tick([found], day)
    assert clock.tick([found], 2 * day) == 1
    ticks = [clock.tick([found], day + minute * 60_000) for minute in range(1, 11)]
    assert ticks == [0] + [1] * 9, "the first look goes back"
    assert caplog.text.count("ahead of the clock of Redis") == 1
    assert clock.tick([found], day + 10 * 60_000 - 30_000) == 0, "half a minute is no reason"
    assert caplog.text.count("ahead of the clock of Redis") == 1


def test_a_look_of_the_listener_uses_the_clock_of_redis(scheduled: None, broker: TestServer) -> None:
    stopping = threading.Event()
    stopping.set()
    clock = new_clock()
    clock.step(stopping)
    noted = broker.client().hgetall(keys.ticks())
    assert set(noted) == {b"nightly", b"often"}
    assert abs(int(noted[b"often"]) - datetime.now(UTC).timestamp() * 1000) < 3600_000
    assert waiting_tasks() == []
