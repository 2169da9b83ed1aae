"""With LIVE_MAY_HEAR the admin has no messages of channels that a user may not hear, and does not name them."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from messaging.admin import changelist, hearing
from messaging.event import encode, new_event
from messaging.models import Channel, Message, Quarantine
from tests.admin.conftest import Row, Staff

LIST = "/admin/messaging/message/"
CHANNELS = "/admin/messaging/channel/"
QUARANTINE = "/admin/messaging/quarantine/"
ALL = (
    "view_message", "publish_message", "delete_message", "view_channel", "view_quarantine",
    "delete_quarantine", "retry_quarantine",
)  # fmt: skip

asked: Counter[str] = Counter()


def only_mine(user: User, channel: str) -> bool:
    asked[channel] += 1
    return channel.startswith("mine.")


@pytest.fixture(autouse=True)
def deciding(settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"LIVE_MAY_HEAR": f"{__name__}.only_mine"}
    asked.clear()


@pytest.fixture
def reader(staff: Staff) -> Client:
    return staff(*ALL)


def listed(client: Client, **query: str) -> list[int]:
    response = client.get(LIST, query)
    assert response.status_code == 200
    return [row.pk for row in response.context["cl"].result_list]


def page(client: Client, url: str) -> str:
    response = client.get(url, follow=True)
    assert response.status_code == 200
    return response.content.decode()


# -- one message --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pending", [False, True])
@pytest.mark.parametrize("path", ["change", "delete", "history", "payload", "state", "publish-again"])
def test_a_message_that_is_not_heard_is_as_one_that_is_not_there(
    reader: Client, row: Row, path: str, *, pending: bool
) -> None:
    mine, other = row("mine.a", pending=pending), row("other.a", {"secret": "hunter2"}, pending=pending)
    missing, found = (reader.get(f"{LIST}{pk}/{path}/") for pk in (999_999, other.pk))
    assert reader.get(f"{LIST}{mine.pk}/{path}/").status_code == 200
    assert found.status_code == missing.status_code in (302, 404)
    assert found.headers.get("Location") == missing.headers.get("Location")
    assert "hunter2" not in page(reader, LIST)


@pytest.mark.parametrize("path", ["delete", "publish-again"])
def test_nothing_is_done_to_it(reader: Client, row: Row, path: str) -> None:
    other = row("other.a")
    reader.post(f"{LIST}{other.pk}/{path}/", {"post": "yes"})
    assert list(Message.objects.values_list("pk", flat=True)) == [other.pk]
    assert not LogEntry.objects.exists()


def test_it_is_no_template(reader: Client, row: Row) -> None:
    other = row("other.a", {"secret": "hunter2"})
    html = page(reader, f"{LIST}add/?template={other.pk}")
    assert "hunter2" not in html
    assert "other.a" not in html
    assert "hunter2" in page(reader, f"{LIST}add/?template={row('mine.a', {'secret': 'hunter2'}).pk}")


def test_what_is_public_is_for_everybody(reader: Client, row: Row, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"LIVE_PUBLIC": ["other.*"]}
    other = row("other.a")
    assert listed(reader) == [other.pk]
    assert reader.get(f"{LIST}{other.pk}/payload/").status_code == 200


# -- lists --------------------------------------------------------------------------------------------------------


def test_the_list_has_what_is_heard_in_its_order(reader: Client, row: Row) -> None:
    rows = [row(f"{'mine' if n % 2 else 'other'}.{n}", age=timedelta(minutes=9 - n)) for n in range(6)]
    waiting = row("mine.new", pending=True)  # its channel is not in the table of channels yet
    row("other.new", pending=True)
    assert listed(reader) == [waiting.pk, rows[5].pk, rows[3].pk, rows[1].pk]
    assert listed(reader, channel="mine.3") == [rows[3].pk]
    assert listed(reader, channel="other.2") == []
    assert listed(reader, state="late") == []
    assert "other." not in page(reader, LIST)


def test_no_search_finds_what_is_not_heard(reader: Client, row: Row) -> None:
    mine, other = (row(f"{whose}.a", {"word": "hunter2"}, key="k") for whose in ("mine", "other"))
    assert listed(reader, q="hunter2") == [mine.pk]
    assert listed(reader, q=other.event_id) == []
    assert listed(reader, q=other.location) == []
    assert listed(reader, q=mine.location) == [mine.pk]
    assert listed(reader, q="hunter2", channel="other.a") == []


def test_a_search_of_what_is_redacted_too(reader: Client, row: Row, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"REDACT_FIELDS": ["data.password"]}
    mine, _other = (row(f"{whose}.a", {"word": "here", "password": "hunter2"}) for whose in ("mine", "other"))
    assert listed(reader, q="here") == [mine.pk]
    assert listed(reader, q="hunter2") == []


def test_actions_take_nothing_that_is_not_heard(reader: Client, row: Row) -> None:
    mine, other = row("mine.a"), row("other.a", {"secret": "hunter2"})
    chosen = {"_selected_action": [mine.pk, other.pk]}
    for across in ("0", "1"):
        asks = {"action": "publish_again", "index": "0", "select_across": across, **chosen}
        html = reader.post(LIST, asks).content.decode()
        assert "hunter2" not in html
        assert "other.a" not in html
    reader.post(LIST, {"action": "publish_again", "post": "yes", **chosen})
    assert Message.objects.filter(channel="other.a").count() == 1
    assert Message.objects.filter(channel="mine.a").count() == 2
    reader.post(LIST, {"action": "delete_selected", "post": "yes", **chosen})
    assert Message.objects.filter(pk=other.pk).exists()
    assert not Message.objects.filter(pk=mine.pk).exists()


def test_the_sidebar_and_the_form_name_no_other_channel(reader: Client) -> None:
    Channel.objects.bulk_create(
        Channel(name=f"{whose}.{n:02}", first_seen=datetime.now(UTC))
        for n in range(14)
        for whose in ("a.other", "mine")
    )
    for html in (page(reader, LIST), page(reader, f"{LIST}add/"), page(reader, CHANNELS)):
        assert "other." not in html
        assert all(f"mine.{n:02}" in html for n in range(14))
    Channel.objects.filter(name__gte="mine.12").delete()  # few enough to be links
    assert "?channel=mine.11" in page(reader, LIST)


def test_a_channel_that_is_not_heard_has_no_page(reader: Client, row: Row) -> None:
    mine, other = row("mine.a"), row("other.a")
    keys = [Channel.objects.get(name=each.channel).pk for each in (mine, other)]
    assert [reader.get(f"{CHANNELS}{pk}/change/").status_code for pk in keys] == [200, 302]
    assert "other.a" not in page(reader, f"{CHANNELS}?q=a")


def test_an_empty_list_does_not_say_that_nothing_is_stored(reader: Client, row: Row) -> None:
    row("other.a")
    html = page(reader, LIST)
    assert "no message on the channels that you may read" in html
    assert "Nothing has been stored" not in html


# -- posting ------------------------------------------------------------------------------------------------------


def test_posting_is_not_hearing(reader: Client) -> None:
    response = reader.post(f"{LIST}add/", {"channel": "other.a", "payload": "1"}, follow=True)
    assert response.redirect_chain == [(f"{LIST}add/", 302)]
    html = response.content.decode()
    made = Message.objects.get(channel="other.a")
    assert "you may publish to this channel, and not read it" in html
    assert f"{LIST}{made.pk}/change/" not in html
    response = reader.post(f"{LIST}add/", {"channel": "mine.a", "payload": "1"}, follow=True)
    assert response.status_code == 200
    assert "not read it" not in response.content.decode()
    assert response.redirect_chain[0][0].endswith("/change/")


# -- the quarantine -----------------------------------------------------------------------------------------------


def quarantined(number: int, body: bytes) -> Quarantine:
    return Quarantine.objects.create(
        partition=0, epoch="e" * 16, log_ms=1763765275123, log_seq=number, body=body,
        reason=f"refused by the database: quoted{number}", quarantined_at=datetime.now(UTC),
    )  # fmt: skip


def test_an_entry_shows_its_bytes_and_reason_to_those_who_hear_its_channel(reader: Client) -> None:
    bodies = [encode(new_event(f"{whose}.a", "hunter2", source="/tests")) for whose in ("mine", "other")]
    mine, other, unreadable = (quarantined(n, body) for n, body in enumerate([*bodies, b"hunter2"]))
    html = page(reader, QUARANTINE)
    assert "quoted0" in html
    assert "quoted1" not in html
    assert "quoted2" not in html
    assert "hunter2" in page(reader, f"{QUARANTINE}{mine.pk}/change/")
    for entry in (other, unreadable):
        html = page(reader, f"{QUARANTINE}{entry.pk}/change/")
        assert "hunter2" not in html
        assert "quoted" not in html
        assert "other.a" not in html
        assert reader.get(f"{QUARANTINE}{entry.pk}/body/").status_code == 403
    assert other.location in page(reader, f"{QUARANTINE}?q=quoted0")  # a search would tell
    asks: dict[str, Any] = {"action": "delete_selected", "_selected_action": [other.pk]}
    assert "quoted" not in reader.post(QUARANTINE, asks | {"index": "0"}).content.decode()
    reader.post(QUARANTINE, asks | {"post": "yes"})
    reader.post(f"{QUARANTINE}{unreadable.pk}/retry/")
    assert "not shown" in page(reader, QUARANTINE)
    assert len(LogEntry.objects.all()) == 2
    assert not any("quoted" in entry.object_repr for entry in LogEntry.objects.all())


def test_the_reason_of_an_entry_larger_than_messages_is_on_its_page_only(
    reader: Client, settings: Settings
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"MAX_EVENT_BYTES": 100}
    entry = quarantined(0, encode(new_event("mine.a", "x" * 50, source="/tests")))
    assert "quoted0" not in page(reader, QUARANTINE)
    assert "quoted0" in page(reader, f"{QUARANTINE}{entry.pk}/change/")


# -- the cost -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", [LIST, f"{LIST}?q=id", f"{LIST}?channel=mine.1", CHANNELS, f"{LIST}add/"])
def test_each_channel_is_asked_about_once_for_a_request(reader: Client, row: Row, url: str) -> None:
    for n in range(20):
        row(f"mine.{n % 4}")
        row(f"other.{n % 16}")
    asked.clear()
    page(reader, url)
    assert asked
    assert set(asked.values()) == {1}


def test_without_it_nobody_is_asked_and_nothing_is_added(admin: Client, row: Row, settings: Settings) -> None:
    row("other.a")
    settings.MESSAGING = {
        key: settings.MESSAGING[key] for key in settings.MESSAGING if key != "LIVE_MAY_HEAR"
    }
    assert [len(listed(admin)), len(listed(admin, channel="other.a"))] == [1, 1]
    with CaptureQueriesContext(connection) as captured:
        assert "other.a" in page(admin, CHANNELS)
        page(admin, LIST)
    assert not asked
    keys = [each["sql"] for each in captured if each["sql"].startswith('SELECT "messaging_message"."id" AS')]
    assert len(keys) == 2  # pending and stored, by their indexes alone


def test_only_the_newest_are_looked_through(
    reader: Client, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changelist, "SCANNED", 5)
    old = row("mine.old", age=timedelta(hours=1))
    for n in range(6):
        row("other.a", age=timedelta(minutes=30 - n))
    new = row("mine.new")
    assert listed(reader) == [new.pk]
    assert "messages were looked through, back to" in page(reader, LIST)
    assert listed(reader, channel="mine.old") == [old.pk]


def test_a_page_of_many_is_read_along_the_index(reader: Client, row: Row) -> None:
    row("mine.a")
    with CaptureQueriesContext(connection) as captured:
        listed(reader)
    (sql,) = (
        each["sql"]
        for each in captured
        if '"channel"' in each["sql"]
        and '"log_ms" IS NOT NULL' in each["sql"]
        and "payload" not in each["sql"]
    )
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        plan = " ".join(str(each[-1]) for each in cursor.fetchall())
    assert "messaging_message_log" in plan
    assert "TEMP B-TREE" not in plan.replace("TEMP B-TREE FOR LAST TERM OF ORDER BY", "")


def test_a_list_of_channels_that_is_cut_says_so(
    reader: Client, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "LOOKED_AT", 2)
    for name in ("mine.1", "mine.2", "mine.3"):
        row(name)
    html = page(reader, CHANNELS)
    assert "mine.1" in html
    assert "mine.3" not in html
    assert "channels were looked through" in html
    assert "mine.3" in page(reader, f"{CHANNELS}?q=3")
