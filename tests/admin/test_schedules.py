"""When recurring tasks ticked and tick next, as a command, a page and Python tell it; run, pause and resume them."""

import re
from collections.abc import Callable
from datetime import datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from pytest_django import Settings

from messaging import connection, keys, recurring, timetable
from messaging.recurring import Clock
from messaging.schedule import Recurring, parsed
from messaging.taskqueue.job import State
from messaging.testing import run_tasks, waiting_tasks
from tests.admin.consoles import BACKEND, get, links, logged, post
from tests.commands import Ran
from tests.commands import run as run_command
from tests.servers import TestServer

PAGE = "/admin/messaging/schedule/"
ADD = "tests.taskqueue.jobs.add"
Tick = Callable[[float], int]

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> Ran:
    return run_command("messaging", "schedule", *arguments)


@pytest.fixture
def tick(broker: TestServer, settings: Settings) -> Tick:
    """`tick(seconds)`: a clock looks so many seconds from now, by the clock of Redis."""
    settings.TASKS = {"default": BACKEND}
    settings.MESSAGING = settings.MESSAGING | {
        "SCHEDULE": {
            "half hourly": {"task": ADD, "every": 1800, "args": [1, 2], "queue": "mails"},
            "leap day": {"task": ADD, "cron": "0 3 29 2 *", "time_zone": "Europe/Berlin", "args": [3, 4]},
        }
    }

    def look(seconds: float) -> int:
        client = connection.client()
        now_ms = int(client.time()[0] * 1000 + seconds * 1000)
        return Clock(client).tick(recurring.schedule()[0], now_ms)

    return look


@pytest.mark.parametrize(
    ("entry", "after", "expected"),
    [
        ({"every": 90}, "1970-01-01T00:01:30Z", "1970-01-01T00:03:00Z"),
        ({"every": 90}, "1970-01-01T00:01:29Z", "1970-01-01T00:01:30Z"),
        ({"cron": "0 3 * * *"}, "2026-01-31T02:00:00Z", "2026-02-01T02:00:00Z"),
        ({"cron": "30 2 * * *"}, "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),  # no 02:30 on that day
    ],
)
def test_the_next_tick(entry: dict[str, object], after: str, expected: str) -> None:
    found = parsed("r", {"task": ADD, **entry}, zone="Europe/Berlin")
    after_ms, expected_ms = (
        int(datetime.fromisoformat(text).timestamp()) * 1000 for text in (after, expected)
    )
    assert found.next(after_ms) == expected_ms
    assert found.is_tick(expected_ms)
    assert not found.is_tick(expected_ms + 1000)
    assert found.due(after_ms, expected_ms) == [expected_ms]


def test_rules_in_words() -> None:
    assert Recurring("r", ADD, every_ms=1500).rule == "every 1.5 s"
    assert parsed("r", {"task": ADD, "cron": "0 3 * * 1"}, zone="UTC").rule == "0 3 * * 1 (UTC)"


def test_what_ticked_and_what_comes(tick: Tick) -> None:
    (often, night), now_ms = timetable.look()
    assert (often.last_ms, often.overdue_ms, often.backend, often.queue) == (0, 0, "default", "mails")
    assert 0 < often.next_ms - now_ms <= 1800_000
    assert night.next_ms > now_ms
    tick(0)
    assert timetable.look()[0][0].last_ms == 0, "a clock that begins has made no tick"
    assert tick(1800) == 1
    often, night = timetable.look()[0]
    assert often.last_ms % 1800_000 == 0
    assert often.next_ms == often.last_ms + 1800_000
    assert often.last_state == State.READY
    assert not night.last_ms
    (result,) = run_tasks()
    assert result.id == often.last_task
    assert timetable.look()[0][0].last_state == State.SUCCEEDED


def test_a_tick_that_nobody_made_is_a_problem(tick: Tick, settings: Settings, client: Client) -> None:
    tick(-7200)
    ran = run()
    assert ran.code == 4
    assert "Problem: schedule 'half hourly' was due" in ran.err
    assert "and nobody has made its task" in ran.err
    assert " ago" in ran.out.splitlines()[1]
    (often, *_) = run("--json").objects
    assert 3600_000 < often["overdue_ms"] <= 7200_000
    status = run_command("messaging", "status")
    assert "Problem: schedule 'half hourly' was due" in status.out
    settings.MESSAGING = settings.MESSAGING | {"METRICS_TOKEN": "a long random word"}
    reply = client.get("/metrics", headers={"Authorization": "Bearer a long random word"}).content.decode()
    (found,) = re.findall(r'messaging_schedule_overdue_seconds\{schedule="half hourly"\} ([\d.]+)', reply)
    assert 3600 < float(found) <= 7200
    tick(0)
    assert run().code == 0
    assert timetable.overdue()["half hourly"] == 0


def test_an_entry_that_cannot_work_is_told_beside_those_that_can(tick: Tick, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {
        "SCHEDULE": {
            "no task": {"task": "tests.taskqueue.jobs.nothing\x1b[2J", "every": 60},
            "no rule": {"task": ADD},
            "fine": {"task": ADD, "every": 60, "args": [1, 2]},
        }
    }
    ran = run()
    assert ran.code == 4
    assert "Problem: schedule 'no task' cannot work: " in ran.err
    assert 'either "cron" or "every"' in ran.err
    assert "\x1b" not in ran.err + ran.out
    assert [line.split()[0] for line in ran.out.splitlines()] == ["schedule", "no", "fine"]


def test_one_is_run_now_and_its_ticks_stay_what_they_are(tick: Tick) -> None:
    tick(0)
    before = timetable.look()[0]
    ran = run("run", "leap day")
    assert ran.code == 0
    assert ran.err == "leap day is enqueued once more.\n"
    (result,) = run_tasks()
    assert result.id == ran.out.strip()
    assert result.return_value == 7
    assert [each.next_ms for each in timetable.look()[0]] == [each.next_ms for each in before]
    wrong = run("run", "daily")
    assert (wrong.code, wrong.out) == (1, "")
    assert wrong.err == "There is no schedule 'daily'. Those that there are: 'half hourly', 'leap day'.\n"


def test_what_is_paused_makes_no_tasks_and_none_later(tick: Tick) -> None:
    tick(0)
    assert run("pause", "half hourly", "--why", "moving\x1b[2J").err.startswith("half hourly is paused;")
    assert run("pause", "half hourly").err == "half hourly was paused already.\n"
    assert tick(3700) == 0
    ran = run()
    assert ran.code == 0
    assert "(moving" in ran.out
    assert "\x1b" not in ran.out
    assert timetable.look()[0][1].paused is None
    assert run("resume", "half hourly").err == "half hourly makes tasks again, from its next tick on.\n"
    assert run("resume", "half hourly").err == "half hourly was not paused.\n"
    assert tick(3700) == 0, "nothing is made up"
    assert tick(3700 + 1800) == 1
    assert len(waiting_tasks()) == 1


def test_a_pause_is_one_however_it_is_written(tick: Tick) -> None:
    connection.client().hset(keys.paused_schedules(), "leap day", "nonsense")
    assert timetable.look()[0][1].paused is not None
    assert timetable.resume("leap day")
    assert timetable.look()[0][1].paused is None
    with pytest.raises(LookupError, match="no schedule 'daily'"):
        timetable.pause("daily", "anna")


def test_usage(tick: Tick) -> None:
    assert run("run").code == 2
    assert run("list", "leap day").code == 2
    assert "invalid choice" in run("leap day").err


def test_nothing_recurs(broker: TestServer) -> None:
    ran = run()
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == "Nothing recurs: MESSAGING['SCHEDULE'] is empty.\n"


def test_redis_is_away(tick: Tick, broker: TestServer, admin: Client) -> None:
    broker.stop()
    for arguments in ((), ("run", "leap day"), ("pause", "leap day"), ("resume", "leap day")):
        ran = run(*arguments)
        assert ran.code == 1, arguments
        assert "Redis is away" in ran.err
    assert "Redis is away" in get(admin, PAGE, 503)


# -- the page


def test_the_page(tick: Tick, admin: Client) -> None:
    html = get(admin, PAGE)
    assert html.count("not yet") == 2
    tick(0)
    assert tick(1800) == 1
    html = get(admin, PAGE)
    for text in ("half hourly", "every 1800 s", "0 3 29 2 * (Europe/Berlin)", ADD, ">ready</a>"):
        assert text in html
    (task,) = (url for url in links(html) if "/task/" in url)
    assert "Result" in get(admin, task) or ADD in get(admin, task)
    assert f'<a href="{PAGE}"' in get(admin, "/admin/")


def test_it_tells_what_does_not_tick(tick: Tick, admin: Client, settings: Settings) -> None:
    tick(-7200)
    assert "due 2 h ago" in get(admin, PAGE) or "min ago</span>" in get(admin, PAGE)
    settings.MESSAGING = settings.MESSAGING | {
        "SCHEDULE": {"no task": {"task": "tests.<b>nothing", "every": 60}, "no rule": {"task": ADD}}
    }
    html = get(admin, PAGE)
    assert "either &quot;cron&quot; or &quot;every&quot;" in html
    assert "<b>nothing" not in html
    assert "Run now" not in html
    settings.MESSAGING = settings.MESSAGING | {"SCHEDULE": {}}
    assert "Nothing recurs." in get(admin, PAGE)


def test_what_the_page_can_do(tick: Tick, admin: Client) -> None:
    html = post(admin, f"{PAGE}leap%2520day/run/")
    assert "Leap day is enqueued once more." in html
    assert len(waiting_tasks()) == 1
    html = post(admin, f"{PAGE}half%2520hourly/pause/", why="moving <b>")
    assert "Half hourly makes no tasks until it is resumed." in html
    assert ": moving &lt;b&gt;" in html
    assert "when it is resumed" in html
    assert "It was paused already." in post(admin, f"{PAGE}half%2520hourly/pause/")
    assert "makes tasks again" in post(admin, f"{PAGE}half%2520hourly/resume/")
    assert "It was not paused." in post(admin, f"{PAGE}half%2520hourly/resume/")
    assert "There is no schedule" in post(admin, f"{PAGE}daily/pause/")
    assert "It cannot be enqueued: There is no schedule" in post(admin, f"{PAGE}daily/run/")
    assert logged() == [
        "Run once more, now.",
        "Of schedule leap day, by hand.",
        "Paused: moving <b>",
        "Resumed.",
    ]
    for url in (f"{PAGE}leap%2520day/{name}/" for name in ("run", "pause", "resume", "change")):
        assert admin.get(url).headers["Location"] == PAGE
    entry = LogEntry.objects.filter(content_type__model="schedule").first()
    assert entry is not None
    assert str(entry.get_admin_url()).startswith(PAGE)


def test_who_may_do_what(tick: Tick, staff: Callable[..., Client]) -> None:
    seeing, doing, nobody = staff("view_queue"), staff("view_queue", "manage_task"), staff("view_message")
    assert "Run now" not in get(seeing, PAGE)
    assert "Run now" in get(doing, PAGE)
    assert nobody.get(PAGE).status_code == 403
    for name in ("run", "pause", "resume"):
        assert seeing.post(f"{PAGE}leap%2520day/{name}/").status_code == 403
    html = post(doing, f"{PAGE}leap%2520day/run/")
    assert "Leap day is enqueued once more." in html
    assert "Its task" not in html, "its page is for those who may view tasks"
    assert "Its task" in post(staff("view_queue", "manage_task", "view_task"), f"{PAGE}leap%2520day/run/")
