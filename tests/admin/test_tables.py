"""The pages of the other tables: to read, in bounds, and to delete only where that makes sense."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from messaging.admin import tables
from messaging.models import Channel, Cursor, Gap, Quarantine
from tests.admin.conftest import Row, Staff

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


def page(client: Client, path: str) -> str:
    response = client.get(f"/admin/messaging/{path}")
    assert response.status_code == 200
    return response.content.decode()


@pytest.fixture
def entry(db: None) -> Quarantine:
    return Quarantine.objects.create(
        partition=0,
        epoch="e" * 16,
        log_ms=1763765275123,
        log_seq=4,
        reason="not JSON: <script>alert(1)</script>",
        body=b"\xff\x00<script>alert(2)</script>",
        quarantined_at=NOW,
    )


def test_channels_lead_to_their_messages(admin: Client, row: Row) -> None:
    for _ in range(3):
        row("orders.paid", age=timedelta(minutes=5))
    Channel.objects.create(name="odd*[name]?", first_seen=NOW)
    html = page(admin, "channel/")
    assert '<a href="/admin/messaging/message/?channel=orders.paid">3</a>' in html
    assert "5 min ago" in html
    assert "/messages/?channel=odd%5C%2A%5C%5Bname%5D%5C%3F" in html  # its glob signs stand for themselves
    assert "_selected_action" not in html


def test_channels_lead_nowhere_for_those_who_may_not_view_messages(staff: Staff, row: Row) -> None:
    row("orders.paid")
    html = page(staff("view_channel"), "channel/")
    assert "orders.paid" in html
    assert not re.search(r'href="[^"]*(message/\?|/messages/)', html)


def test_channels_are_counted_up_to_a_cap(admin: Client, row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "COUNTED", 2)
    for _ in range(3):
        row("orders.paid")
    assert ">2+</a>" in page(admin, "channel/")


def test_the_latest_message_of_a_channel_comes_from_an_index(admin: Client, row: Row) -> None:
    row("orders.paid")
    with CaptureQueriesContext(connection) as captured:
        page(admin, "channel/")
    (sql,) = (each["sql"] for each in captured if "latest_ms" in each["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        plan = " ".join(str(each[-1]) for each in cursor.fetchall())
    assert "COVERING INDEX messaging_message_channel" in plan


def test_a_reader_and_its_position(admin: Client) -> None:
    Cursor.objects.create(
        reader="relay", partition=0, epoch="abc", log_ms=1763765275123, log_seq=7, moved_at=NOW
    )
    Cursor.objects.create(reader="new", partition=0)
    html = page(admin, "cursor/")
    assert "1763765275123-7" in html
    assert "2026-01-02 03:04:05.678" in html


def test_a_quarantined_entry_with_reason_text_and_bytes(admin: Client, entry: Quarantine) -> None:
    assert "not JSON: &lt;script&gt;" in page(admin, "quarantine/")
    html = page(admin, f"quarantine/{entry.pk}/change/")
    assert "0.1763765275123-4" in html
    assert "\\xff\\x00&lt;script&gt;" in html
    assert "00000000  ff 00 3c 73" in html
    assert "<script>alert" not in html
    assert "_save" not in html
    response = admin.get(f"/admin/messaging/quarantine/{entry.pk}/body/")
    assert response.content == bytes(entry.body)
    assert "attachment" in response.headers["Content-Disposition"]


def test_a_large_entry_is_cut_on_its_page(admin: Client, entry: Quarantine) -> None:
    entry.body = b"\x00" * 3_000_000
    entry.reason = "x" * 5_000
    entry.save()
    assert len(page(admin, "quarantine/")) < 50_000
    assert len(page(admin, f"quarantine/{entry.pk}/change/")) < 3_000_000


def test_a_gap(admin: Client) -> None:
    Gap.objects.create(partition=0, reason="reborn", from_position="17-0", missed=None, noticed_at=NOW)
    html = page(admin, "gap/")
    assert "reborn" in html
    assert "17-0" in html


def test_empty_lists_explain_themselves(admin: Client) -> None:
    for name, said in (("gap", "nothing is known to be lost"), ("quarantine", "Nothing is in quarantine.")):
        html = admin.get(f"/admin/messaging/{name}/").content.decode()
        assert 'class="mb-empty"' in html
        assert said in html
        assert "messaging/admin/messages.css" in html
    html = admin.get("/admin/messaging/quarantine/?q=nothing").content.decode()
    assert "No quarantined entry matches." in html
    assert "Nothing is in quarantine." not in html


def test_what_may_be_deleted_and_what_not(admin: Client, entry: Quarantine, row: Row) -> None:
    row()
    channel = Channel.objects.get()
    cursor = Cursor.objects.create(reader="relay", partition=0)
    for name, pk in (("channel", channel.pk), ("cursor", cursor.pk)):
        assert admin.post(f"/admin/messaging/{name}/{pk}/delete/", {"post": "yes"}).status_code == 403
    assert admin.post(f"/admin/messaging/quarantine/{entry.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Quarantine.objects.exists()


@pytest.mark.parametrize("name", ["channel", "cursor", "gap", "quarantine"])
def test_nothing_is_added_or_changed_by_hand(admin: Client, name: str, entry: Quarantine) -> None:
    assert admin.get(f"/admin/messaging/{name}/add/").status_code == 403
    if name == "quarantine":
        assert (
            admin.post(f"/admin/messaging/quarantine/{entry.pk}/change/", {"reason": "x"}).status_code == 403
        )


@pytest.mark.parametrize("name", ["channel", "cursor", "gap", "quarantine"])
def test_each_table_has_a_permission_of_its_own(staff: Staff, name: str, entry: Quarantine) -> None:
    assert staff(f"view_{name}").get(f"/admin/messaging/{name}/").status_code == 200
    other = staff("view_message")
    assert other.get(f"/admin/messaging/{name}/").status_code == 403
    assert other.get(f"/admin/messaging/quarantine/{entry.pk}/body/").status_code == 403
