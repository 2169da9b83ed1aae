"""The list of messages: what is found, in which order, and what it costs."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from messaging.admin import changelist
from messaging.models import Channel, Message
from tests.admin.conftest import Row

URL = "/admin/messaging/message/"


def listed(client: Client, **query: str) -> list[int]:
    response = client.get(URL, query)
    assert response.status_code == 200
    return [row.pk for row in response.context["cl"].result_list]


def page(client: Client, **query: str) -> str:
    response = client.get(URL, query)
    assert response.status_code == 200
    return response.content.decode()


# -- what is shown ------------------------------------------------------------------------------------------------


def test_pending_first_then_the_newest(admin: Client, row: Row) -> None:
    old = row(age=timedelta(hours=3))
    new = row(age=timedelta(hours=1))
    waiting = row(pending=True, age=timedelta(hours=2))
    assert listed(admin) == [waiting.pk, new.pk, old.pk]


def test_a_row_says_time_channel_type_payload_size_state_and_delay(admin: Client, row: Row) -> None:
    made = row("orders.paid", {"text": "é"}, type="paid.v2", late=timedelta(milliseconds=1234))
    html = page(admin)
    assert f"{made.time:%H:%M:%S}.{made.time.microsecond // 1000:03}" in html
    for expected in (
        "orders.paid",
        "paid.v2",
        "{&quot;text&quot;: &quot;é&quot;}",
        "13 bytes",
        "stored",
        "1.2 s",
    ):
        assert expected in html


def test_times_say_of_what_and_where_they_are(admin: Client, row: Row) -> None:
    row("orders.paid")
    assert "Published (UTC)" in page(admin)
    with timezone.override("Asia/Kolkata"):
        assert "Published (Asia/Kolkata)" in page(admin)


def test_a_pending_row_says_how_long_it_has_been_waiting(admin: Client, row: Row) -> None:
    row(pending=True, age=timedelta(minutes=3))
    html = page(admin)
    assert "mb-pending" in html
    assert "for 3 min" in html


def test_a_long_payload_is_cut_and_a_binary_one_is_shown_in_hexadecimal(admin: Client, row: Row) -> None:
    row(data={"text": "x" * 5000})
    row(data=b"\x00\xff" * 1000)
    html = page(admin)
    assert "x" * 80 in html
    assert "x" * 200 not in html
    assert "…" in html
    assert "00 ff 00" in html
    assert "2.0 KiB" in html


def test_nothing_in_a_message_becomes_markup(admin: Client, row: Row) -> None:
    row(data={"</script><script>alert(1)</script>": '" onmouseover="alert(2)'}, type="<b>bold</b>", key="<i>")
    Channel.objects.create(name="<img src=x onerror=alert(3)>", first_seen=timezone.now())
    html = page(admin) + page(
        admin, channel="<script>alert(4)", type='"><script>alert(5)', q="<script>alert(6)"
    )
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert "<b>bold" not in html
    assert 'onmouseover="alert' not in html


def test_an_empty_table_says_how_to_fill_it(admin: Client) -> None:
    html = page(admin)
    assert "manage.py listen" in html
    assert "Publish the first message" in html


def test_links_to_the_live_log_and_to_the_form(admin: Client) -> None:
    html = page(admin)
    assert 'href="/messages/"' in html
    assert "/admin/messaging/message/add/" in html
    assert 'href="/messages/"' in admin.get("/admin/").content.decode()
    assert 'href="/messages/"' in admin.get("/admin/messaging/").content.decode()


# -- filters ------------------------------------------------------------------------------------------------------


def test_filters_narrow_and_combine(admin: Client, row: Row) -> None:
    late = row("orders.paid", type="v2", late=timedelta(seconds=9))
    fresh = row("orders.paid")
    other = row("system.log", age=timedelta(hours=2))
    waiting = row("orders.paid", pending=True)
    assert listed(admin, channel="orders.paid") == [waiting.pk, fresh.pk, late.pk]
    assert listed(admin, channel="nobody") == []
    assert listed(admin, state="pending") == [waiting.pk]
    assert listed(admin, state="stored") == [fresh.pk, late.pk, other.pk]
    assert listed(admin, state="late") == [late.pk]
    assert listed(admin, type="v2") == [late.pk]
    assert listed(admin, since="1h") == [waiting.pk, fresh.pk, late.pk]
    assert listed(admin, since="24h", channel="system.log") == [other.pk]
    assert listed(admin, since="15m", channel="system.log") == []
    assert listed(admin, channel="orders.paid", state="late", since="15m", q="1") == [late.pk]


def test_what_was_sent_again_behind_newer_ones_is_marked_and_found(admin: Client, row: Row) -> None:
    first = row()
    row()
    Message.objects.filter(pk=first.pk).update(late=True, resent="lost", sends=2)
    assert listed(admin, state="overtaken") == [first.pk]
    assert page(admin).count("out of order</span>") == 1
    html = admin.get(f"{URL}{first.pk}/change/").content.decode()
    assert "The listener had to send it: it had been sent before, and the log did not have it." in html
    assert "Newer messages of its channel stand before it in the log." in html


def test_a_pending_row_says_how_often_it_was_sent_and_what_it_waits_for(admin: Client, row: Row) -> None:
    waiting = row(pending=True)
    Message.objects.filter(pk=waiting.pk).update(sends=2)
    assert ", sent 2 times" in page(admin)
    Message.objects.filter(pk=waiting.pk).update(sends=0, ordered=True)
    assert "for its turn: its channel is ordered" in admin.get(f"{URL}{waiting.pk}/change/").content.decode()


def test_the_list_says_what_waits_in_the_outbox_and_why(admin: Client, row: Row) -> None:
    row()
    assert "Waiting in the outbox" not in page(admin)
    row(pending=True, age=timedelta(minutes=3))
    first = row(pending=True)
    Message.objects.filter(pk=first.pk).update(sends=2, resent="lost", ordered=True)
    html = page(admin)
    assert '<a href="?state=pending">Waiting in the outbox: 2</a>, the oldest for 3 min.' in html
    assert "In ordered channels: 1." in html
    assert "Sent by the listener: 1, since it had been sent before, and the log did not have it." in html
    assert "Times sent by the outbox" in admin.get(f"{URL}{first.pk}/change/").content.decode()


def test_a_range_of_time_in_the_zone_of_the_site(admin: Client, row: Row) -> None:
    old, new = row(age=timedelta(days=2)), row(age=timedelta(minutes=1))
    waiting = row(pending=True, age=timedelta(days=2))
    border = timezone.localtime() - timedelta(days=1)
    text = border.strftime("%Y-%m-%dT%H:%M:%S")
    assert listed(admin, **{"from": text}) == [new.pk]
    assert listed(admin, to=text) == [waiting.pk, old.pk]
    assert listed(admin, **{"from": text, "to": text}) == []


@pytest.mark.parametrize(
    "text", ["yesterday", "0001-01-01T00:00", "9999-12-31T23:59:59", "x" * 5000, "2026-13-01"]
)
def test_a_time_that_cannot_be_read_is_said_and_left_out(admin: Client, row: Row, text: str) -> None:
    row()
    response = admin.get(URL, {"from": text})
    assert response.status_code == 200


def test_what_is_no_time_is_named(admin: Client, row: Row) -> None:
    made = row()
    assert "This is not a date and time: &lt;b&gt;" in page(admin, **{"from": "<b>"})
    assert listed(admin, **{"from": "<b>"}) == [made.pk]


def test_few_channels_are_links_and_many_are_searched_for(admin: Client, row: Row) -> None:
    row("orders.paid")
    assert 'href="?channel=orders.paid"' in page(admin)
    now = timezone.now()
    Channel.objects.bulk_create([Channel(name=f"tenant.{n:03}", first_seen=now) for n in range(700)])
    html = page(admin, state="stored", q="x")
    assert 'list="filter-channels"' in html
    assert html.count("<option value=") < 510
    assert '<input type="hidden" name="state" value="stored">' in html
    assert '<input type="hidden" name="q" value="x">' in html


def test_filters_and_search_stay_in_the_links(admin: Client, row: Row) -> None:
    row()
    html = page(admin, channel="orders.created", q="id")
    assert 'href="?channel=orders.created&amp;q=id&amp;state=stored"' in html
    assert "_changelist_filters=channel%3Dorders.created%26q%3Did" in html


def test_other_lookups_in_the_address_are_ignored(admin: Client, row: Row) -> None:
    made = row()
    assert listed(admin, payload__regex="(a+)+$", o="1.2", e="1") == [made.pk]


@pytest.mark.parametrize("name", ["q", "channel", "type", "since", "from", "to", "state", "p"])
@pytest.mark.parametrize(
    "value", ["\x00", "\ud800".encode("utf-8", "surrogatepass"), "'\"; --", "%", "9" * 40, "-1"]
)
def test_no_value_in_the_address_breaks_the_page(admin: Client, row: Row, name: str, value: Any) -> None:
    row()
    response = admin.get(URL, {name: value}, follow=True)
    assert response.status_code == 200


# -- search -------------------------------------------------------------------------------------------------------


def test_search_in_payload_key_and_id(admin: Client, row: Row) -> None:
    first = row(data={"name": "Ada Lovelace"}, key="k-7")
    second = row(data={"name": "Björn", "job": "smith"}, pending=True)
    escaped = row()
    Message.objects.filter(pk=escaped.pk).update(payload='{"name": "Bj\\u00f6rn"}')
    binary = row(data=b"Ada")
    assert listed(admin, q="lovelace") == [first.pk]
    assert listed(admin, q="Lovelace Ada") == [first.pk]
    assert listed(admin, q="Lovelace Björn") == []
    assert set(listed(admin, q="Björn")) == {second.pk, escaped.pk}
    assert listed(admin, q="K-7") == [first.pk]
    assert listed(admin, q="100%_\\") == []
    assert binary.pk not in listed(admin, q="Ada")


def test_a_whole_id_or_a_position_is_found_beyond_filters_and_scan(
    admin: Client, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changelist, "SCANNED", 1)
    wanted = row(age=timedelta(days=30))
    for _ in range(3):
        row()
    assert listed(admin, q=wanted.event_id, since="1h") == [wanted.pk]
    assert listed(admin, q=wanted.location) == [wanted.pk]
    assert listed(admin, q=f"{wanted.log_ms}-{wanted.log_seq}") == [wanted.pk]
    assert listed(admin, q=f"1.{wanted.log_ms}-{wanted.log_seq}") == []


def test_a_scan_stops_and_says_where(admin: Client, row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changelist, "SCANNED", 3)
    old = row(data="needle", age=timedelta(days=3))
    for hours in range(5, 0, -1):
        row(age=timedelta(hours=hours))
    html = page(admin, q="needle")
    assert "Only the newest 3 messages were looked through, back to " in html
    assert listed(admin, q="needle") == []
    until = timezone.localtime() - timedelta(days=2)
    assert listed(admin, q="needle", to=until.strftime("%Y-%m-%dT%H:%M")) == [old.pk]
    assert "Only the newest" not in page(admin, q="needle", since="1h")


# -- cost ---------------------------------------------------------------------------------------------------------


def test_counts_and_pages_end_at_a_cap(admin: Client, row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changelist, "LISTED", 60)
    for _ in range(61):
        row()
    assert "60+ messages" in page(admin)
    assert len(listed(admin, p="2")) == 10
    assert admin.get(URL, {"p": "3"}).status_code == 302
    Message.objects.first().delete()
    assert "60 messages" in page(admin)


def plan(sql: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        return " ".join(str(found[-1]) for found in cursor.fetchall())


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({}, "messaging_message_log"),
        ({"since": "1h"}, "messaging_message_log"),
        ({"channel": "system.log"}, "messaging_message_channel"),
        ({"channel": "system.log", "since": "24h"}, "messaging_message_channel"),
    ],
)
def test_stored_rows_are_read_from_an_index_in_its_order(
    admin: Client, row: Row, query: dict[str, str], index: str
) -> None:
    row("system.log")
    with CaptureQueriesContext(connection) as captured:
        admin.get(URL, query)
    (found,) = (each["sql"] for each in captured if "IS NOT NULL" in each["sql"])
    assert f"SEARCH messaging_message USING COVERING INDEX {index}" in plan(found)
    assert "USE TEMP B-TREE FOR ORDER BY" not in plan(found)


def test_the_number_of_queries_does_not_grow_with_the_rows(admin: Client, row: Row) -> None:
    row()
    with CaptureQueriesContext(connection) as few:
        listed(admin)
    for _ in range(40):
        row()
    with CaptureQueriesContext(connection) as many:
        listed(admin)
    assert len(many) == len(few)
