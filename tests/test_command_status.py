"""``manage.py messaging status``: how the broker stands, and exit code 4 when something is wrong."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import Settings

from messaging import keys, publish, publish_many
from messaging.event import new_id
from messaging.models import Cursor, Gap, Message, PendingTask, Quarantine
from tests.commands import Ran, run
from tests.conftest import Manage
from tests.servers import TestServer

pytestmark = pytest.mark.django_db


def status(*arguments: str) -> Ran:
    return run("messaging", "status", *arguments)


@pytest.fixture
def listener_in_charge(broker: TestServer) -> None:
    """Its heartbeat."""
    report = {
        "owner": "host:1:abc",
        "in_charge": True,
        "holder": "host:1:abc",
        "stored": 5,
        "captured": 2,
        "lag_seconds": 0.5,
        "failures": {},
        "at": datetime.now(UTC).timestamp(),
    }
    broker.client().set(keys.heartbeat(), json.dumps(report))


def an_hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


def relay_stands_at(location: str | None) -> None:
    assert location is not None
    ms, _, seq = location.partition(".")[2].partition("-")
    epoch = json.loads(status("--json").out)["log"][0]["epoch"]
    Cursor.objects.create(reader="relay", partition=0, epoch=epoch, log_ms=ms, log_seq=seq)


@pytest.mark.usefixtures("listener_in_charge")
def test_healthy() -> None:
    event = publish("orders.created", 1, outbox=False)
    relay_stands_at(event.location)
    ran = status()
    assert ran.code == 0
    assert ran.err == ""
    for said in ("1 entry, at most 1,000,000", "lag           none", "host:1:abc", "0 pending", "Healthy."):
        assert said in ran.out


@pytest.mark.usefixtures("listener_in_charge")
def test_json_has_the_same() -> None:
    event = publish("orders.created", 1, outbox=False)
    relay_stands_at(event.location)
    ran = status("--json")
    (found,) = ran.objects
    assert ran.code == 0
    assert (found["healthy"], found["problems"]) == (True, [])
    (log,) = found["log"]
    assert f"0.{log['first']}" == f"0.{log['last']}" == f"0.{log['stored_up_to']}" == event.location
    assert (log["entries"], log["cap"], log["replay"], log["lag_seconds"]) == (1, 1_000_000, 100_000, 0.0)
    assert (found["listener"]["owner"], found["listener"]["captured"]) == ("host:1:abc", 2)
    assert found["store"] == {
        "outbox_pending": 0,
        "outbox_oldest_seconds": 0.0,
        "outbox_unsent": 0,
        "outbox_ordered": 0,
        "outbox_resent": {},
        "tasks": {"pending": 0, "oldest_seconds": 0.0, "unsent": 0, "resent": {}},
        "quarantined": 0,
        "gaps": 0,
        "latest_gap": None,
    }


def problems(*arguments: str) -> str:
    """What is wrong, and that it ends with 4."""
    ran = status(*arguments)
    assert ran.code == 4
    assert "Healthy" not in ran.out
    return "\n".join(line for line in ran.out.splitlines() if line.startswith("Problem: "))


def test_no_listener_and_an_empty_log(broker: TestServer) -> None:
    assert problems() == "Problem: no listener is in charge: run manage.py listen"
    assert "not born yet" in status().out


def test_redis_away_still_says_what_the_database_knows(broker: TestServer) -> None:
    broker.stop()
    assert "Redis is away" in problems()
    assert "Outbox          0 pending" in status().out


@pytest.mark.usefixtures("listener_in_charge")
def test_what_waits_for_too_long() -> None:
    publish_many([("orders.created", 1)], outbox=False)
    assert "has not been stored for" in problems("--max-lag", "0")
    assert status("--max-lag", "1000").code == 0


@pytest.mark.usefixtures("listener_in_charge")
def test_a_listener_that_stores_elsewhere(broker: TestServer) -> None:
    """Two sites with the same keys on one Redis: the one's listener takes what the other's publishes."""
    begin = int(an_hour_ago().timestamp() * 1000)
    broker.client().xadd(keys.log(0), {"e": "{}"}, id=f"{begin}-0")
    said = (
        "listener host:1:abc says that it has stored what this database lacks: another site shares this Redis"
    )
    assert said in problems()
    assert said in run("messaging", "doctor").out
    publish("orders.created", 1, outbox=False)
    assert said in problems("--max-lag", "0")
    broker.client().xdel(keys.log(0), f"{begin}-0")
    assert said not in problems("--max-lag", "0"), "it may just be about to store it"


@pytest.mark.usefixtures("listener_in_charge")
def test_an_outbox_that_is_not_emptied() -> None:
    Message.objects.create(
        event_id=new_id(),
        source="/t",
        channel="a",
        type="a",
        time=datetime.now(UTC),
        payload="1",
        queued_at=an_hour_ago(),
    )
    assert re.search(r"the outbox holds a message that has been waiting for \d,\d{3} s", problems())
    assert re.search(r"1 pending, the oldest for \d,\d{3}", status().out)


@pytest.mark.usefixtures("listener_in_charge")
def test_what_waits_in_the_outbox_and_why() -> None:
    for fields in ({}, {"ordered": True}, {"sends": 2, "resent": "lost"}, {"sends": 1, "resent": "unsent"}):
        Message.objects.create(
            event_id=new_id(), source="/t", channel="a", type="a", time=datetime.now(UTC), payload="1",
            queued_at=an_hour_ago(), **fields,
        )  # fmt: skip
    said = status("--max-lag", "99999").out
    assert "Outbox          4 pending, the oldest for 3,6" in said
    assert "  not sent yet  2\n" in said
    assert "  ordered       1 wait for their turn\n" in said
    assert "  sent again    1: it had been sent, and the relay did not find it in the log\n" in said
    assert "  sent again    1: it had not been sent: " in said


@pytest.mark.usefixtures("listener_in_charge")
def test_tasks_that_wait_in_the_outbox_and_why() -> None:
    for number, fields in enumerate(
        ({}, {"sent_at": datetime.now(UTC), "sends": 2, "resent": "lost"}, {"resent": "unreadable"})
    ):
        PendingTask.objects.create(
            job_id=f"default.{number}", backend="default", queue="default", task="shop.tasks.send",
            body="{}", options="{}", queued_at=an_hour_ago(), look_at=an_hour_ago(), **fields,
        )  # fmt: skip
    assert re.search(r"the outbox holds a task that has been waiting for 3,6\d\d s", problems())
    ran = status("--max-lag", "99999")
    assert ran.code == 0
    assert "Outbox, tasks   3 pending, the oldest for 3,6" in ran.out
    assert "  not sent yet  2\n" in ran.out
    assert "  sent again    1: it had been sent, and its queue did not have it any more\n" in ran.out
    assert "  unreadable    1: it cannot be read" in ran.out


@pytest.mark.usefixtures("listener_in_charge")
def test_a_log_that_is_nearly_full(settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"MAX_LOG_ENTRIES": 10}
    event = publish_many([("a", number) for number in range(9)], outbox=False)[-1]
    relay_stands_at(event.location)
    assert problems() == "Problem: the log is nearly full: 9 of 10 entries"


@pytest.mark.usefixtures("listener_in_charge")
def test_a_part_of_the_listener_that_failed(broker: TestServer) -> None:
    beat = json.loads(broker.client().get(keys.heartbeat()) or b"")
    beat["failures"] = {"outbox": "the database is away"}
    broker.client().set(keys.heartbeat(), json.dumps(beat))
    assert problems() == "Problem: the listener's outbox: the database is away"


@pytest.mark.usefixtures("listener_in_charge")
def test_quarantine_and_gaps_are_shown_but_are_history() -> None:
    now = datetime(2025, 11, 21, 22, 47, tzinfo=UTC)
    Quarantine.objects.create(
        partition=0, epoch="e", log_ms=1, log_seq=0, reason="no JSON", body=b"x", quarantined_at=now
    )
    Gap.objects.create(partition=0, reason="reborn", from_position="5-0", noticed_at=now)
    ran = status()
    assert ran.code == 0
    assert "Quarantine      1\n" in ran.out
    assert "1 recorded, the latest: 2025-11-21 22:47:00 partition 0 from 5-0: reborn" in ran.out


def test_a_database_without_tables(manage: Manage, broker: TestServer, short_directory: object) -> None:
    process = manage("messaging", "status", env={"DATABASE_URL": f"sqlite:///{short_directory}/new.sqlite3"})
    assert process.wait() == 4
    assert "Problem: the database lacks messaging's tables: run manage.py migrate" in process.stdout


def test_a_schedule_that_cannot_be_enqueued(settings: Settings, listener_in_charge: None) -> None:
    settings.MESSAGING = settings.MESSAGING | {
        "SCHEDULE": {"nightly": {"task": "tests.taskqueue.jobs.nothing", "every": 60}}
    }
    ran = status()
    assert ran.code == 4
    assert "Problem: MESSAGING['SCHEDULE']['nightly']: " in ran.out


@pytest.mark.parametrize("text", ["nan", "-1", "inf", "soon"])
def test_a_limit_that_nothing_can_pass_is_refused(text: str) -> None:
    for option in ("--max-lag", "--max-wait"):
        ran = status(option, text)
        assert ran.code == 2
        assert f"not a number of seconds from 0 to 1,000,000: '{text}'" in ran.err


def test_usage() -> None:
    assert run("messaging").code == 2
    assert "invalid choice: 'nonsense'" in run("messaging", "nonsense").err
