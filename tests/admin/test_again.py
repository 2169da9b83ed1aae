"""Publishing stored messages again, and deleting rows: asked first, exact to the byte, noted in the admin's log."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.test import Client
from pytest_django import Settings

from messaging import log
from messaging.admin import messages as message_pages
from messaging.connection import client as redis_client
from messaging.event import Event
from messaging.models import Message
from tests.admin.conftest import Row, Staff
from tests.servers import TestServer

LIST = "/admin/messaging/message/"

outside_transactions = pytest.mark.django_db(transaction=True)


def again(row: Message) -> str:
    return f"{LIST}{row.pk}/publish-again/"


def choose(client: Client, action: str, rows: Sequence[Message], **more: str):
    chosen = [str(row.pk) for row in rows]
    return client.post(LIST, {"action": action, "_selected_action": chosen, "index": "0", **more})


def confirm(client: Client, action: str, rows: Sequence[Message]):
    return client.post(LIST, {"action": action, "_selected_action": [row.pk for row in rows], "post": "yes"})


def newest() -> Message:
    return Message.objects.latest("pk")


# -- one ----------------------------------------------------------------------------------------------------------

PAYLOADS = [
    (rb'{"a" : 1.50, "a": 2, "e": "\u00e9", "n": "\u0000", "inf": 1e400}', "application/json", False),
    (b"9" * 5000, "application/json", False),
    (b"[" * 300 + b"]" * 300, "application/json", False),
    (rb'"caf\u00e9 </script>"', "text/plain; charset=utf-8", False),
    (bytes(range(256)), "image/png", True),
    (b"", "application/octet-stream", True),
]


@pytest.mark.parametrize(("payload", "content_type", "binary"), PAYLOADS)
def test_the_new_message_has_the_same_bytes_and_names_the_original(
    admin: Client, row: Row, payload: bytes, content_type: str, binary: bool
) -> None:
    old = row(
        event=Event(
            id="original", source="/elsewhere", type="t.v1", channel="orders.paid", time=datetime.now(UTC),
            payload=payload, content_type=content_type, binary=binary, key="9", correlation_id="req-1",
            causation_id="older", traceparent="00-aa-bb-01", headers={"tenant": "acme"},
        )
    )  # fmt: skip
    response = admin.post(again(old))
    new = newest()
    assert response.url == f"{LIST}{new.pk}/change/"
    assert new.is_pending
    assert new.payload_bytes == payload
    same = ("channel", "type", "key", "payload", "content_type", "binary")
    assert [getattr(new, name) for name in same] == [getattr(old, name) for name in same]
    assert new.event_id != "original"
    assert new.source == "/broker_site"
    assert json.loads(new.attributes) == {
        "tenant": "acme",
        "correlationid": "req-1",
        "causationid": "original",
    }


def test_it_is_asked_first(admin: Client, row: Row) -> None:
    old = row("orders.paid", {"text": "first words"})
    page = admin.get(again(old)).content.decode()
    assert "first words" in page
    assert "orders.paid" in page
    assert "csrfmiddlewaretoken" in page
    assert Message.objects.count() == 1


def test_both_ends_are_noted_without_the_payload(admin: Client, row: Row) -> None:
    old = row(data={"secret": "hunter2"})
    admin.post(again(old))
    noted = {(entry.action_flag, entry.object_id, entry.change_message) for entry in LogEntry.objects.all()}
    new = newest()
    assert noted == {
        (CHANGE, str(old.pk), f"Published again as {new.event_id}."),
        (ADDITION, str(new.pk), f"Published again, the same as {old.event_id}."),
    }


@outside_transactions
def test_it_reaches_the_log(admin: Client, row: Row, broker: TestServer) -> None:
    old = row(data={"id": 5})
    admin.post(again(old))
    (entry,) = log.newest(redis_client(), 0, count=5)
    assert entry.event().causation_id == old.event_id
    assert entry.event().payload == old.payload_bytes


@outside_transactions
def test_without_redis_it_waits(admin: Client, row: Row, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"PUBLISH_BUDGET": 0.2}
    response = admin.post(again(row()), follow=True)
    assert "Redis cannot be reached at the moment" in response.content.decode()
    assert newest().is_pending


def test_what_is_too_large_is_said_before_and_after(admin: Client, row: Row, settings: Settings) -> None:
    old = row(data={"text": "x" * 2000})
    settings.MESSAGING = settings.MESSAGING | {"MAX_EVENT_BYTES": 1000}
    page = admin.get(again(old)).content.decode()
    assert "the limit is 1,000" in page
    assert 'name="post"' not in page
    response = admin.post(again(old), follow=True)
    assert "Nothing was published" in response.content.decode()
    assert Message.objects.count() == 1
    assert not LogEntry.objects.exists()


def test_a_foreign_channel_keeps_its_name(admin: Client, row: Row) -> None:
    event = Event(
        id="x", source="/redis/pubsub", type="t", channel="odd [name]*", time=datetime.now(UTC), payload=b"1"
    )
    admin.post(again(row(event=event)))
    assert newest().channel == "odd [name]*"


# -- several ------------------------------------------------------------------------------------------------------


def test_several_are_asked_for_with_count_channels_and_sample_then_sent_oldest_first(
    admin: Client, row: Row
) -> None:
    rows = [row(f"tenant.{n % 3}", {"n": n}, age=timedelta(minutes=60 - n)) for n in range(7)]
    page = choose(admin, "publish_again", list(reversed(rows))).content.decode()
    assert "These 7 messages" in page
    assert "Publish 7 messages again" in page
    assert page.count('name="_selected_action"') == 7
    assert "and 2 more" in page
    for name in ("tenant.0", "tenant.1", "tenant.2"):
        assert name in page
    assert Message.objects.count() == 7
    confirm(admin, "publish_again", list(reversed(rows)))
    sent = Message.objects.filter(log_ms=None).order_by("pk")
    assert [json.loads(each.payload)["n"] for each in sent] == list(range(7))
    assert "7 messages were published again." in admin.get(LIST).content.decode()
    assert LogEntry.objects.filter(action_flag=CHANGE).count() == 7


def test_all_or_none(admin: Client, row: Row, settings: Settings) -> None:
    rows = [row(), row(data={"text": "x" * 2000})]
    settings.MESSAGING = settings.MESSAGING | {"MAX_EVENT_BYTES": 1000}
    confirm(admin, "publish_again", rows)
    assert Message.objects.count() == 2


def test_all_that_match_can_be_chosen_up_to_a_limit(
    admin: Client, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        row("orders.paid" if n % 2 else "orders.sent")
    url = f"{LIST}?channel=orders.paid"
    first = Message.objects.first()
    data = {"action": "publish_again", "_selected_action": [first.pk], "index": "0", "select_across": "1"}
    page = admin.post(url, data).content.decode()
    assert "These 2 messages" in page
    monkeypatch.setattr(message_pages, "MAX_CHOSEN", 1)
    response = admin.post(url, data, follow=True)
    assert "At most 1 messages can be chosen" in response.content.decode()
    assert "_selected_action" in response.content.decode()
    assert Message.objects.count() == 4


def test_too_many_bytes_at_once_are_refused(admin: Client, row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_pages, "MAX_CHOSEN_BYTES", 100)
    rows = [row(data="x" * 60), row(data="y" * 60)]
    response = admin.post(
        LIST,
        {"action": "publish_again", "_selected_action": [each.pk for each in rows], "index": "0"},
        follow=True,
    )
    assert "The chosen messages hold 124 bytes" in response.content.decode()


def test_the_action_needs_the_permission(staff: Staff, row: Row) -> None:
    made = row()
    viewer = staff("view_message", "delete_message")
    assert 'value="publish_again"' not in viewer.get(LIST).content.decode()
    confirm(viewer, "publish_again", [made])
    assert viewer.post(again(made)).status_code == 403
    assert Message.objects.count() == 1
    publisher = staff("view_message", "publish_message")
    assert 'value="delete_selected"' not in publisher.get(LIST).content.decode()
    confirm(publisher, "delete_selected", [made])
    assert publisher.post(f"{LIST}{made.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Message.objects.count() == 1


# -- deleting -----------------------------------------------------------------------------------------------------


def test_deleting_says_what_it_does_and_warns_of_pending_rows(admin: Client, row: Row) -> None:
    stored, waiting = row(), row(pending=True)
    page = choose(admin, "delete_selected", [stored, waiting]).content.decode()
    assert "the log in Redis keeps its entries" in page
    assert "One of them is still pending" in page
    assert "still pending" not in choose(admin, "delete_selected", [stored]).content.decode()
    assert "it is never sent" in admin.get(f"{LIST}{waiting.pk}/delete/").content.decode()
    assert "the log in Redis keeps" in admin.get(f"{LIST}{stored.pk}/delete/").content.decode()
    assert Message.objects.count() == 2


def test_a_deletion_is_noted_without_the_payload(admin: Client, row: Row) -> None:
    rows = [row(data={"secret": "hunter2"}) for _ in range(3)]
    confirm(admin, "delete_selected", rows[:2])
    admin.post(f"{LIST}{rows[2].pk}/delete/", {"post": "yes"})
    assert not Message.objects.exists()
    entries = LogEntry.objects.filter(action_flag=DELETION)
    assert {entry.object_repr for entry in entries} == {str(each) for each in rows}
    assert not any("hunter2" in entry.object_repr + entry.change_message for entry in entries)
