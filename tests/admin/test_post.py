"""Posting a message in the admin: what goes out, what is refused and where that is said, who may."""

import json

import pytest
from django.contrib.admin.models import ADDITION, LogEntry
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from messaging import log
from messaging.connection import client as redis_client
from messaging.models import Channel, Message
from tests.admin.conftest import Row, Staff
from tests.servers import TestServer

ADD = "/admin/messaging/message/add/"

outside_transactions = pytest.mark.django_db(transaction=True)


def post(client: Client, **fields: str):
    given = {"channel": "orders.created", "payload": '{"id": 1}', "kind": "auto", "_save": "Publish"}
    return client.post(ADD, given | fields)


def errors(response) -> dict[str, list[str]]:
    assert response.status_code == 200
    return {name: [str(each) for each in found] for name, found in response.context["form"].errors.items()}


def only_message() -> Message:
    return Message.objects.get()


# -- what goes out ------------------------------------------------------------------------------------------------


def test_a_row_of_the_outbox_and_then_its_page(admin: Client) -> None:
    response = post(admin, type="order.v2", key="7", headers="tenant: acme\n\nregion:eu ")
    row = only_message()
    assert response.status_code == 302
    assert response.url == reverse("admin:messaging_message_change", args=[row.pk])
    assert row.is_pending
    assert (row.channel, row.type, row.key, row.payload) == ("orders.created", "order.v2", "7", '{"id":1}')
    assert json.loads(row.attributes) == {"tenant": "acme", "region": "eu"}
    page = admin.get(response.url).content.decode()
    assert 'data-state="pending"' in page
    assert "Waits in the outbox for Redis." in page


@outside_transactions
def test_it_is_sent_after_the_commit(admin: Client, broker: TestServer) -> None:
    response = post(admin)
    row = only_message()
    (entry,) = log.newest(redis_client(), 0, count=10)
    assert entry.event().id == row.event_id
    assert row.sends == 1
    page = admin.get(response.url).content.decode()
    assert "Sent to Redis, waits for the listener" in page
    assert "Published to orders.created" in page


@outside_transactions
def test_without_redis_it_waits_and_says_so(admin: Client, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"PUBLISH_BUDGET": 0.2}
    response = post(admin)
    assert response.status_code == 302
    assert only_message().sends == 0
    page = admin.get(response.url).content.decode()
    assert "Redis cannot be reached at the moment. The message waits in the outbox" in page
    assert "Published to" not in page


def test_the_admin_log_names_the_message_and_not_its_payload(admin: Client) -> None:
    post(admin, payload='{"secret": "hunter2"}')
    entry = LogEntry.objects.get()
    assert entry.action_flag == ADDITION
    assert entry.object_repr == str(only_message())
    assert "hunter2" not in entry.object_repr + entry.change_message
    history = admin.get(reverse("admin:messaging_message_history", args=[only_message().pk]))
    assert "Added." in history.content.decode()


@pytest.mark.parametrize(
    ("kind", "typed", "payload", "content_type"),
    [
        ("auto", '{"a": [1, 2.50]}', '{"a":[1,2.50]}', "application/json"),
        ("auto", "New data available", '"New data available"', "text/plain"),
        ("auto", "42", "42", "application/json"),
        ("auto", "01234", '"01234"', "text/plain"),
        ("text", "[not json", '"[not json"', "text/plain"),
        ("text", "", '""', "text/plain"),
        ("text", "one\r\ntwo\r\n", '"one\\ntwo\\n"', "text/plain"),
        ("json", '"text"', '"text"', "application/json"),
        ("auto", '{"n": "\\u0000"}', '{"n":"\\u0000"}', "application/json"),
        ("auto", "[1e400]", "[1e400]", "application/json"),
        ("auto", '{"a":1,"a":2}', '{"a":1,"a":2}', "application/json"),
        ("auto", "9" * 5000, "9" * 5000, "application/json"),
        ("auto", '\ufeff{"bom": 1}', '{"bom":1}', "application/json"),
        ("auto", "</script><img src=x onerror=alert(1)>", None, "text/plain"),
    ],
)
def test_json_and_text_go_out_as_they_were_typed(
    admin: Client, kind: str, typed: str, payload: str | None, content_type: str
) -> None:
    assert post(admin, kind=kind, payload=typed).status_code == 302
    row = only_message()
    assert row.payload == (json.dumps(typed) if payload is None else payload)
    assert row.content_type == content_type


def test_the_channel_used_last_is_there_again(admin: Client) -> None:
    assert 'name="channel" value=' not in admin.get(ADD).content.decode()
    post(admin, channel="orders.paid")
    assert 'name="channel" value="orders.paid"' in admin.get(ADD).content.decode()


def test_channels_that_are_known_are_suggested(admin: Client, row: Row) -> None:
    row("orders.paid")
    Channel.objects.create(name='quo"te', first_seen=row().time)
    page = admin.get(ADD).content.decode()
    assert '<option value="orders.paid">' in page
    assert '<option value="quo&quot;te">' in page


def test_publish_and_write_another_comes_back_to_the_form(admin: Client) -> None:
    response = post(admin, _addanother="x")
    assert response.url == ADD
    assert only_message().event_id in admin.get(ADD).content.decode()


# -- what is refused ----------------------------------------------------------------------------------------------


def test_what_begins_like_json_has_to_be_json_and_may_be_sent_as_text(admin: Client) -> None:
    response = post(admin, payload='{"a": 1,\n "b": [1,,2]}')
    (error,) = errors(response)["payload"]
    assert "at line 2, column 10" in error
    assert b'name="_as_text"' in response.content
    assert not Message.objects.exists()
    post(admin, payload='{"a": 1,\n "b": [1,,2]}', _as_text="x")
    assert only_message().payload == json.dumps('{"a": 1,\n "b": [1,,2]}')


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"channel": ""}, "channel", "required"),
        ({"channel": "two words"}, "channel", "two words"),
        ({"channel": "orders.*"}, "channel", "orders.*"),
        ({"channel": "x" * 256}, "channel", "255"),
        ({"payload": "  "}, "payload", "nothing to send"),
        ({"payload": "hello", "kind": "json"}, "payload", "line 1, column 1"),
        ({"payload": '{"a": NaN}'}, "payload", "NaN"),
        ({"payload": "[" * 600 + "]" * 600}, "payload", "500 levels"),
        ({"payload": '"' + "x" * 300_000 + '"'}, "payload", "262,144"),
        ({"payload": "a\x00b"}, "payload", "Null characters"),
        ({"type": "bell\x07"}, "type", "bell"),
        ({"key": "x" * 256}, "key", "255"),
        ({"headers": "no colon here"}, "headers", "no colon here"),
        ({"headers": "Upper: x"}, "headers", "Upper"),
        ({"headers": "id: x"}, "headers", "id"),
        ({"headers": "tenant: a\ntenant: b"}, "headers", "given twice"),
        ({"kind": "yaml"}, "kind", "yaml"),
    ],
)
def test_an_error_stands_at_its_field_and_names_the_value(
    admin: Client, fields: dict[str, str], field: str, said: str
) -> None:
    found = errors(post(admin, **fields))
    assert list(found) == [field]
    assert said in found[field][0]
    assert not Message.objects.exists()
    assert not LogEntry.objects.exists()


def test_what_was_typed_is_escaped_in_the_form_that_comes_back(admin: Client) -> None:
    response = post(
        admin, payload='{"</textarea><script>alert(1)</script>', channel='"><script>alert(2)</script>'
    )
    assert b"<script>alert" not in response.content


# -- who may ------------------------------------------------------------------------------------------------------


def test_without_the_permission_to_publish_there_is_no_form(staff: Staff, row: Row) -> None:
    viewer = staff("view_message")
    pk = row().pk
    assert viewer.get(ADD).status_code == 403
    assert post(viewer).status_code == 403
    for url in (
        "/admin/",
        "/admin/messaging/",
        "/admin/messaging/message/",
        f"/admin/messaging/message/{pk}/change/",
    ):
        page = viewer.get(url).content.decode()
        assert ADD not in page, url
        assert "Publish again" not in page
        assert "publish_again" not in page
    assert viewer.get(f"/admin/messaging/message/{pk}/publish-again/").status_code == 403


def test_who_may_only_publish_stays_at_the_form(staff: Staff) -> None:
    publisher = staff("publish_message")
    assert ADD in publisher.get("/admin/").content.decode()
    response = post(publisher)
    assert response.url == ADD
    page = publisher.get(ADD).content.decode()
    row = only_message()
    assert row.event_id in page
    assert f"/message/{row.pk}/" not in page
    for url in ("", f"{row.pk}/change/", f"{row.pk}/state/", f"{row.pk}/payload/"):
        assert publisher.get(f"/admin/messaging/message/{url}").status_code == 403


def test_staff_without_permissions_sees_nothing_of_it(staff: Staff) -> None:
    nobody = staff()
    assert "essaging" not in nobody.get("/admin/").content.decode().replace("messaging/", "")
    for url in ("/admin/messaging/", "/admin/messaging/message/", ADD, "/admin/messaging/channel/"):
        assert nobody.get(url).status_code in (403, 404)


def test_strangers_are_sent_to_the_login(db: None) -> None:
    response = Client().get(ADD)
    assert response.status_code == 302
    assert "/admin/login/" in response.url


# -- a stored message as a template -------------------------------------------------------------------------------


def test_a_stored_message_fills_the_form(admin: Client, row: Row) -> None:
    made = row("orders.paid", {"é": [1, 2]}, type="paid.v2", key="9", headers={"tenant": "acme"})
    form = admin.get(f"{ADD}?template={made.pk}").context["form"]
    assert form.initial == {
        "channel": "orders.paid",
        "type": "paid.v2",
        "key": "9",
        "headers": "tenant: acme",
        "kind": "json",
        "payload": '{\n  "é": [\n    1,\n    2\n  ]\n}',
    }


@pytest.mark.parametrize(
    ("data", "kind", "payload"),
    [
        ("two\nlines", "text", "two\nlines"),
        ("carriage\rreturn", "json", '"carriage\\rreturn"'),
        (b"plain bytes", "text", "plain bytes"),
        (12.5, "json", "12.5"),
    ],
)
def test_a_template_loses_nothing(admin: Client, row: Row, data: object, kind: str, payload: str) -> None:
    initial = admin.get(f"{ADD}?template={row(data=data).pk}").context["form"].initial
    assert (initial["kind"], initial["payload"]) == (kind, payload)


def test_bytes_that_are_no_text_are_no_template(admin: Client, row: Row) -> None:
    response = admin.get(f"{ADD}?template={row(data=bytes([255, 0])).pk}")
    assert "payload" not in response.context["form"].initial
    assert "cannot be edited" in response.content.decode()


@pytest.mark.parametrize("pk", ["", "x", "-1", "0", "9" * 30, "²"])
def test_a_template_that_is_not_there_is_an_empty_form(admin: Client, pk: str) -> None:
    assert admin.get(ADD, {"template": pk}).status_code == 200


def test_a_template_shows_nothing_to_who_may_not_view(staff: Staff, row: Row) -> None:
    page = staff("publish_message").get(f"{ADD}?template={row(data={'secret': 1}).pk}").content.decode()
    assert "secret" not in page
