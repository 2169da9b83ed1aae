"""/metrics: a text that Prometheus reads, for those who may, within a second, whatever is away."""

import json
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import OperationalError
from django.test import Client
from pytest_django import Settings

from messaging import keys, metrics, publish, rows, wire
from messaging.event import new_event
from messaging.exposition import Sample, counter, exposition, gauge
from messaging.live.counters import Counters, counters
from messaging.models import Gap, PendingTask, Quarantine
from messaging.questions import Questions
from tests.servers import TestServer

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "a long random word"


@pytest.fixture(autouse=True)
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer of an earlier test is waited for."""
    monkeypatch.setattr(metrics, "_questions", Questions("metrics"))


@pytest.fixture
def token(settings: Settings) -> dict[str, str]:
    """The headers of who brings the token."""
    settings.MESSAGING = settings.MESSAGING | {"METRICS_TOKEN": TOKEN}
    return {"Authorization": f"Bearer {TOKEN}"}


Scrape = Callable[[], dict[str, float]]


@pytest.fixture
def scrape(client: Client, broker: TestServer, token: dict[str, str]) -> Scrape:
    """`scrape()` -> sample by name and labels, as they are written."""

    def read() -> dict[str, float]:
        reply = client.get("/metrics", headers=token)
        assert reply.status_code == 200
        assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return parsed(reply.content.decode())

    return read


def parsed(text: str) -> dict[str, float]:
    """What Prometheus would read, or a failure where it would complain."""
    found: dict[str, float] = {}
    kinds: dict[str, str] = {}
    assert text.endswith("\n")
    for line in text.splitlines():
        if head := re.fullmatch(r"# (HELP|TYPE) ([a-z_]+) (.+)", line):
            if head[1] == "TYPE":
                assert head[2] not in kinds, line
                assert head[3] in ("gauge", "counter")
                kinds[head[2]] = head[3]
            continue
        sample = re.fullmatch(
            r'([a-z_]+)(\{[a-z]+="(?:[^"\\\n]|\\.)*"(?:,[a-z]+="(?:[^"\\\n]|\\.)*")*\})? (\S+)', line
        )
        assert sample, line
        assert sample[1] == list(kinds)[-1], "samples stand below the head of their own name"
        assert (kinds[sample[1]] == "counter") == sample[1].endswith("_total"), line
        key = sample[1] + (sample[2] or "")
        assert key not in found
        found[key] = float(sample[3])
    return found


# -- the numbers --------------------------------------------------------------------------------------------------


def test_a_site_at_rest(scrape: Scrape) -> None:
    found = scrape()
    assert found['messaging_up{part="redis"}'] == found['messaging_up{part="database"}'] == 1
    assert found['messaging_log_entries{partition="0"}'] == 0
    assert found['messaging_log_max_entries{partition="0"}'] == 1_000_000
    assert 'messaging_log_oldest_age_seconds{partition="0"}' not in found
    assert found["messaging_listener_in_charge"] == 0
    assert "messaging_listener_stored_total" not in found
    assert found["messaging_outbox_pending"] == found["messaging_gaps"] == found["messaging_quarantined"] == 0
    assert found["messaging_publish_breaker_open"] == 0
    assert found["messaging_scrape_duration_seconds"] > 0


def test_a_site_with_trouble(scrape: Scrape, broker: TestServer) -> None:
    publish("orders", 1, outbox=False)
    now = datetime.now(UTC)
    rows.pending_row(new_event("orders", 1, source="/tests"), now - timedelta(seconds=90)).save()
    Gap.objects.create(partition=0, reason="reborn", from_position="1-0", noticed_at=now)
    Quarantine.objects.create(
        partition=0, epoch="", log_ms=1, log_seq=0, reason="bad", body=b"", quarantined_at=now
    )
    PendingTask.objects.create(
        job_id="default.1", backend="default", queue="default", task="shop.tasks.send", body="{}", options="{}",
        queued_at=now - timedelta(seconds=90), look_at=now, sent_at=now, resent="lost", sends=2,
    )  # fmt: skip
    report = {
        "owner": "here:1:ab", "in_charge": True, "holder": "here:1:ab", "stored": 17, "captured": 4,
        "lag_seconds": 0.0, "failures": {"outbox": 'the "database" is\naway'}, "at": now.timestamp() - 2,
    }  # fmt: skip
    broker.client().set(keys.heartbeat(), json.dumps(report), ex=60)
    found = scrape()
    assert found['messaging_log_entries{partition="0"}'] == 1
    assert found['messaging_log_oldest_age_seconds{partition="0"}'] >= 0
    assert found['messaging_relay_lag_seconds{partition="0"}'] > 0
    assert found["messaging_listener_in_charge"] == 1
    assert found["messaging_listener_stored_total"] == 17
    assert found["messaging_listener_captured_total"] == 4
    assert 2 <= found["messaging_listener_heartbeat_age_seconds"] < 20
    assert found[r'messaging_listener_failing{part="outbox",reason="the \"database\" is\naway"}'] == 1
    assert found["messaging_outbox_pending"] == 1
    assert 90 <= found["messaging_outbox_oldest_age_seconds"] < 120
    assert (found["messaging_task_outbox_pending"], found["messaging_task_outbox_unsent"]) == (1, 0)
    assert found['messaging_task_outbox_resent{reason="lost"}'] == 1
    assert 90 <= found["messaging_task_outbox_oldest_age_seconds"] < 120
    assert found["messaging_gaps"] == found["messaging_quarantined"] == 1


def test_every_counter_of_the_live_page_is_there(scrape: Scrape, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, field in enumerate(fields(Counters), start=1001):
        monkeypatch.setattr(
            counters, field.name, Counter(user=number) if field.name == "overloaded" else number
        )
    found = {name: value for name, value in scrape().items() if name.startswith("messaging_live_")}
    assert found.pop("messaging_live_open_streams") == 0
    assert found.pop('messaging_live_limit{limit="total"}') == 10_000
    assert found.pop('messaging_live_limit{limit="user"}') == 100
    assert found.pop('messaging_live_limit{limit="rate"}') == 2000
    assert 'messaging_live_overloaded_total{limit="user"}' in found
    assert sorted(found.values()) == list(range(1001, 1001 + len(fields(Counters))))


def test_the_breaker_of_this_process(scrape: Scrape, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"BREAKER_SECONDS": 300}
    wire.breaker.failed(OSError("gone"))
    assert scrape()["messaging_publish_breaker_open"] == 1


def test_all_partitions(scrape: Scrape, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"PARTITIONS": 3}
    assert {f'messaging_log_entries{{partition="{n}"}}' for n in range(3)} <= set(scrape())


def test_the_format() -> None:
    text = exposition(
        [
            gauge("a", "A \\ and\na line.", 1.5),
            counter("b_total", "B.", Sample(2, {"x": 'say "a\\b"\n'}), Sample(3.0, {"x": "y"})),
            gauge("none", "Without numbers."),
            gauge("c", "C.", float("inf")),
        ]
    )
    assert text.decode() == (
        "# HELP a A \\\\ and\\na line.\n# TYPE a gauge\na 1.5\n"
        '# HELP b_total B.\n# TYPE b_total counter\nb_total{x="say \\"a\\\\b\\"\\n"} 2\nb_total{x="y"} 3\n'
        "# HELP c C.\n# TYPE c gauge\nc +Inf\n"
    )


# -- what is away -------------------------------------------------------------------------------------------------


def test_redis_away(scrape: Scrape, broker: TestServer) -> None:
    broker.stop()
    found = scrape()
    assert (found['messaging_up{part="redis"}'], found['messaging_up{part="database"}']) == (0, 1)
    assert "messaging_listener_in_charge" not in found
    assert found["messaging_outbox_pending"] == 0


def test_redis_that_hangs(scrape: Scrape, broker: TestServer) -> None:
    broker.signal(signal.SIGSTOP)
    try:
        found = scrape()  # which would otherwise never end
        assert (found['messaging_up{part="redis"}'], found['messaging_up{part="database"}']) == (0, 1)
    finally:
        broker.signal(signal.SIGCONT)


def test_a_database_that_hangs(scrape: Scrape, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    asked: list[int] = []

    def hang() -> None:
        asked.append(1)
        released.wait(60)

    monkeypatch.setattr(metrics, "store_status", hang)
    try:
        for _ in range(2):
            found = scrape()
            assert (found['messaging_up{part="redis"}'], found['messaging_up{part="database"}']) == (1, 0)
            assert found['messaging_log_entries{partition="0"}'] == 0
            assert 'messaging_relay_lag_seconds{partition="0"}' not in found
        assert asked == [1]
    finally:
        released.set()


# -- who may ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given", [None, "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer ä"]
)
def test_without_the_token(client: Client, token: dict[str, str], given: str | None) -> None:
    reply = client.get("/metrics", headers={} if given is None else {"Authorization": given})
    assert reply.status_code == 403
    assert b"messaging_" not in reply.content.replace(b"messaging.view_message", b"")


def test_an_empty_token_opens_nothing(client: Client, settings: Settings) -> None:
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 403
    assert client.get("/metrics").status_code == 403


def test_users(client: Client, broker: TestServer) -> None:
    client.force_login(User.objects.create_user("anybody"))
    assert client.get("/metrics").status_code == 403
    viewer = User.objects.create_user("viewer")
    viewer.user_permissions.add(Permission.objects.get(codename="view_message"))
    for user in (viewer, User.objects.create_superuser("boss")):
        client.force_login(user)
        assert client.get("/metrics").status_code == 200


def test_the_token_asks_no_database(
    client: Client, broker: TestServer, token: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object) -> None:
        raise OperationalError("password s3cret refused")

    client.force_login(User.objects.create_superuser("boss"))
    monkeypatch.setattr("django.db.backends.base.base.BaseDatabaseWrapper.cursor", refuse)
    found = parsed(client.get("/metrics", headers=token).content.decode())
    assert (found['messaging_up{part="redis"}'], found['messaging_up{part="database"}']) == (1, 0)
    reply = client.get("/metrics")
    assert reply.status_code == 503
    assert b"s3cret" not in reply.content


def test_it_is_read_only_and_not_kept(client: Client, broker: TestServer, token: dict[str, str]) -> None:
    assert client.post("/metrics", headers=token).status_code == 405
    assert "no-store" in client.get("/metrics", headers=token).headers["Cache-Control"]
