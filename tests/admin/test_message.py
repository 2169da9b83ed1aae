"""The page of one message: what it shows of any payload, what it offers to whom."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from messaging.event import Event
from messaging.models import Message
from tests.admin.conftest import Row, Staff


def url(row: Message, name: str = "change") -> str:
    return f"/admin/messaging/message/{row.pk}/{name}/"


def page(client: Client, row: Message) -> str:
    response = client.get(url(row))
    assert response.status_code == 200
    return response.content.decode()


def test_every_fact_is_there(admin: Client, row: Row) -> None:
    made = row(
        "orders.paid",
        {"id": 1},
        type="paid.v2",
        key="9",
        correlation_id="req-1",
        causation_id="cause-1",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        headers={"tenant": "acme"},
        late=timedelta(milliseconds=345),
    )
    html = page(admin, made)
    for expected in (
        made.event_id, "/tests", "orders.paid", "paid.v2", "application/json", "8 bytes", "req-1", "cause-1", "acme",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", made.location, "e" * 16, "+345 ms",
        "Stored 345 ms after it was published.", "cannot be edited", f"/messages/{made.pk}/",
        "/messages/?channel=orders.paid",
    ):  # fmt: skip
        assert expected in html, expected


def test_what_caused_a_message_is_one_click_away(admin: Client, row: Row) -> None:
    cause = row("orders.created")
    html = page(admin, row("orders.paid", causation_id=cause.event_id))
    link = f"/admin/messaging/message/?q={cause.event_id}"
    assert f'<a href="{link}">{cause.event_id}</a>' in html
    assert url(cause) in admin.get(link).content.decode()


def test_a_message_cannot_be_changed(admin: Client, row: Row) -> None:
    made = row()
    html = page(admin, made)
    assert "_save" not in html
    assert admin.post(url(made), {"channel": "other", "payload": "{}"}).status_code == 403
    made.refresh_from_db()
    assert made.channel == "orders.created"


def test_actions_only_for_those_who_may(staff: Staff, row: Row) -> None:
    made = row()
    viewer = page(staff("view_message"), made)
    assert "publish-again" not in viewer
    assert "?template=" not in viewer
    assert "/delete/" not in viewer
    all_of_it = page(staff("view_message", "publish_message", "delete_message"), made)
    assert "publish-again" in all_of_it
    assert "?template=" in all_of_it
    assert "/delete/" in all_of_it


# -- the state, while it changes ----------------------------------------------------------------------------------


def test_the_state_as_json(admin: Client, row: Row) -> None:
    made = row(pending=True)
    pending = admin.get(url(made, "state"))
    assert "no-store" in pending.headers["Cache-Control"]
    assert pending.json()["state"] == "pending"
    assert pending.json()["facts"]["position"] == ""
    Message.objects.filter(pk=made.pk).update(
        log_ms=1763765275123,
        log_seq=4,
        partition=0,
        epoch="f" * 16,
        stored_at=made.time + timedelta(seconds=2),
    )
    stored = admin.get(url(made, "state")).json()
    assert stored["state"] == "stored"
    assert stored["facts"]["position"] == "0.1763765275123-4"
    assert stored["facts"]["epoch"] == "f" * 16
    assert stored["notes"]["stored"] == "+2.0 s"
    assert stored["sentence"] == "Stored 2.0 s after it was published."


def test_a_late_message_is_called_late(admin: Client, row: Row) -> None:
    assert admin.get(url(row(late=timedelta(seconds=8)), "state")).json()["state"] == "late"


def test_the_state_is_for_those_who_may_view(staff: Staff, row: Row) -> None:
    assert staff("publish_message").get(url(row(), "state")).status_code == 403


@pytest.mark.parametrize("name", ["state", "payload", "publish-again"])
def test_a_message_that_is_gone_is_a_404(admin: Client, row: Row, name: str) -> None:
    made = row()
    gone = url(made, name)
    made.delete()
    assert admin.get(gone).status_code == 404
    assert admin.get(f"/admin/messaging/message/x_2Fy/{name}/").status_code == 404


# -- payloads -----------------------------------------------------------------------------------------------------


def event(
    payload: bytes, *, binary: bool = False, content_type: str = "application/json", **more: str
) -> Event:
    return Event(
        id="id-1", source="/elsewhere", type="t", channel="c", time=datetime.now(UTC), payload=payload, binary=binary,
        content_type=content_type, **more,
    )  # fmt: skip


HOSTILE = {
    "nul escape": rb'{"a": "\u0000"}',
    "lone surrogate": rb'{"a": "\ud800"}',
    "lone surrogate as text": rb'"\udfff"',
    "5,000 digits": b"9" * 5000,
    "infinite": b"[1e400, -1e400]",
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "doubled keys": b'{"a": 1, "a": 2}',
    "megabytes": b'"' + b"x" * 3_000_000 + b'"',
    "many tokens": b"[" + b"1," * 150_000 + b"1]",
    "direction signs": '{"a": "\u202egnp.exe\u2066"}'.encode(),
    "not json": b"{broken",
    "empty": b"",
    "quotes only": b'"' * 1001,
    "backslashes": b'"' + b"\\" * 5001,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_any_payload_has_its_page_its_row_and_its_file(
    admin: Client, row: Row, name: str, content_type: str
) -> None:
    made = row(event=event(HOSTILE[name], content_type=content_type))
    assert len(page(admin, made)) < 4_000_000
    assert admin.get("/admin/messaging/message/").status_code == 200
    assert admin.get(f"/admin/messaging/message/add/?template={made.pk}").status_code == 200
    assert admin.get(url(made, "publish-again")).status_code == 200
    response = admin.get(url(made, "payload"))
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    if content_type == "application/json":
        assert response.content == HOSTILE[name]


def test_bytes_are_a_hex_dump_and_text_as_far_as_they_are_text(admin: Client, row: Row) -> None:
    made = row(event=event(b"\xff\xfebin\x00<script>", binary=True, content_type="application/octet-stream"))
    html = page(admin, made)
    assert "00000000  ff fe 62 69 6e 00 3c 73" in html
    assert "\\xff\\xfebin\\x00&lt;script&gt;" in html
    assert admin.get(url(made, "payload")).content == b"\xff\xfebin\x00<script>"


def test_a_long_payload_is_cut_and_says_so(admin: Client, row: Row) -> None:
    made = row(event=event(json.dumps(["x" * 400_000]).encode()))
    html = page(admin, made)
    assert "The first 256 KiB of 391 KiB are shown." in html
    assert html.count("x" * 1000) < 600
    short = row(data={"id": 1})
    assert "are shown" not in page(admin, short)


def test_json_is_indented_and_a_text_is_its_text(admin: Client, row: Row) -> None:
    html = page(admin, row(data={"id": 1, "tags": ["a"]}))
    laid_out = re.sub(
        r"</?span[^>]*>", "", re.search(r'<pre class="mb-code mb-pretty".*?>(.*?)</pre>', html, re.DOTALL)[1]
    )
    assert laid_out == "{\n  &quot;id&quot;: 1,\n  &quot;tags&quot;: [\n    &quot;a&quot;\n  ]\n}"
    html = page(admin, row(data="first line\nsecond line"))
    assert "first line\nsecond line</pre>" in html.replace("</span>", "")


def test_nothing_in_a_message_becomes_markup(admin: Client, row: Row) -> None:
    evil = "</pre></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'"
    made = row(
        "orders.<script>alert(3)</script>", {evil: evil}, type=evil, key=evil, correlation_id=evil,
        headers={"tenant": evil},
    )  # fmt: skip
    text = row(data=evil)
    for html in (
        page(admin, made),
        page(admin, text),
        admin.get(url(made, "publish-again")).content.decode(),
    ):
        assert "<script>alert" not in html
        assert "<img src=x" not in html


def test_attributes_that_cannot_be_read_do_not_hide_the_rest(admin: Client, row: Row) -> None:
    made = row(data={"id": 77})
    Message.objects.filter(pk=made.pk).update(attributes="[broken")
    assert "77" in page(admin, made)
