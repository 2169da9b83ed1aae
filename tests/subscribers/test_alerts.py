"""ALERTS: each step of a threshold is told once, whoever notices, and is armed again when the value has halved."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import checks
from django.utils import timezone
from pytest_django import Settings

from messaging import alerts, connection
from messaging.alerts import Rule, Watch
from messaging.conf import conf
from messaging.errors import Misconfigured
from messaging.models import Channel, Message
from messaging.signals import threshold_passed, threshold_recovered
from messaging.taskqueue.job import NewJob, State
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.standing import queue
from tests.queued import TASK, kill

Heard = list[tuple[str, str, float, int]]


@pytest.fixture
def heard() -> Iterator[Heard]:
    """(what, name, value, step) of every signal."""
    found: Heard = []

    def hear(what: str, name: str, value: float, step: int, **more: Any) -> None:
        assert more["sender"] is Rule
        assert isinstance(more["threshold"], int)
        found.append((what, name, value, step))

    for signal in (threshold_passed, threshold_recovered):
        signal.connect(hear)
    yield found
    for signal in (threshold_passed, threshold_recovered):
        signal.disconnect(hear)


@pytest.fixture
def mails(subscribing: None) -> Queue:
    return queue("default", "mails")


def ask(settings: Settings, **given: Any) -> None:
    settings.MESSAGING = settings.MESSAGING | {"ALERTS": given}


def look(times: int = 1) -> None:
    """As so many listeners would."""
    for _ in range(times):
        Watch(connection.client()).look()


def test_dead_letters(
    mails: Queue, heard: Heard, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    ask(settings, dead={"*": 2, "other": 1})
    with caplog.at_level(logging.INFO, "messaging.listen"):
        for more in (1, 1, 1, 1, 4, 1):  # 1, 2, 3, 4, 8, 9 of them
            kill(more)
            look(2)
        assert heard == [("dead", "mails", 2, 1), ("dead", "mails", 4, 2), ("dead", "mails", 8, 3)]
        heard.clear()
        mails.purge(State.DEAD, 5)  # 4 are left: no less than half of 8
        kill(4)
        look(2)
        assert heard == []
        mails.purge(State.DEAD, 6)  # 2 are left
        look(2)
        kill(2)
        look(2)
        assert heard == [("dead", "mails", 4, 2)]
        heard.clear()
        mails.purge(State.DEAD, 4)
        look(2)
        assert heard == [("dead", "mails", 0, 0)]
    lines = [each.getMessage() for each in caplog.records]
    assert lines[0] == "queue 'mails' has 2 dead letters: threshold 2"
    assert lines[-1] == "queue 'mails' has 0 dead letters: below 2 again"


def test_waiting(mails: Queue, heard: Heard, settings: Settings) -> None:
    ask(settings, wait={"mails": 60, "*": 0})
    mails.now = mails.counts().now_ms - 130_000
    mails.enqueue([NewJob(id="mails.1", body=b"{}", task=TASK)])
    look(2)
    ((what, name, value, step),) = heard
    assert (what, name, step, int(value)) == ("wait", "mails", 2, 130)


def test_silence_of_a_pattern_and_a_channel(mails: Queue, heard: Heard, settings: Settings) -> None:
    ask(settings, silence={"orders.*": 60, "never": 60})
    now, table = timezone.now(), conf.DATABASE
    for name, age in (("orders.created", 100), ("orders.paid", 130), ("other", 1)):
        Channel.objects.using(table).create(name=name, first_seen=now)
        Message.objects.using(table).create(
            event_id=name,
            source="/t",
            channel=name,
            time=now,
            payload="1",
            log_ms=now.timestamp() * 1000 - age * 1000,
        )
    look(2)
    ((what, name, value, step),) = heard
    assert (what, name, step, int(value)) == ("silence", "orders.*", 1, 100)
    heard.clear()
    Message.objects.using(table).filter(channel="orders.paid").update(log_ms=now.timestamp() * 1000)
    look(2)
    assert [(each[0], each[3]) for each in heard] == [("silence", 0)]


def test_a_receiver_that_fails_is_logged(
    mails: Queue, heard: Heard, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**more: object) -> None:
        raise LookupError("pager")

    ask(settings, dead={"mails": 1})
    kill(1)
    threshold_passed.connect(fail)
    try:
        look()
    finally:
        threshold_passed.disconnect(fail)
    assert len(heard) == 1
    assert "of an alert failed" in caplog.text


@pytest.mark.parametrize(
    "given",
    [{"deed": {"*": 1}}, {"dead": 5}, {"dead": {"*": "5"}}, {"wait": {"*": -1}}, {"wait": {"*": True}}],
)
def test_what_cannot_work_is_named(given: dict[str, Any], settings: Settings) -> None:
    ask(settings, **given)
    with pytest.raises(Misconfigured, match="ALERTS"):
        alerts.thresholds()
    assert "messaging.E014" in [each.id for each in checks.run_checks()]
