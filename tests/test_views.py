"""The pages and the publish form: who may, what is shown, what is refused and where it is said."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import Permission, User
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from messaging import connection, keys, publish, rows
from messaging.errors import BrokerUnavailable
from messaging.event import Event, new_event
from messaging.models import Channel, Message
from tests.integration.relaying import drain, new_relay
from tests.servers import TestServer

pytestmark = pytest.mark.django_db

outside_transactions = pytest.mark.django_db(transaction=True)  # where publish() goes straight to Redis

LOGGED = 1_763_765_275_123


@pytest.fixture
def user() -> Callable[..., Client]:
    """`user("view_message", ...)`: a client logged in with these permissions of the app."""

    def make(*codenames: str, **fields: Any) -> Client:
        made = User.objects.create_user(f"user{User.objects.count()}", **fields)
        wanted = Permission.objects.filter(content_type__app_label="messaging", codename__in=codenames)
        assert len(wanted) == len(codenames)
        made.user_permissions.set(wanted)
        client = Client()
        client.force_login(made)
        return client

    return make


@pytest.fixture
def viewer(user: Callable[..., Client]) -> Client:
    return user("view_message")


@pytest.fixture
def publisher(user: Callable[..., Client]) -> Client:
    return user("view_message", "publish_message")


def stored(channel: str = "orders.created", data: Any = None, *, seq: int = 0, **attributes: Any) -> Message:
    """A row as the relay stores it."""
    event = new_event(channel, {"id": 1} if data is None else data, source="/tests", **attributes)
    return row_of(event, seq=seq)


def row_of(event: Event, *, seq: int = 0) -> Message:
    row = rows.pending_row(event, datetime.now(UTC))
    row.queued_at = None
    row.epoch, row.partition, row.log_ms, row.log_seq = "0" * 16, 0, LOGGED, seq
    row.save()
    return row


def text_of(html: bytes) -> str:
    """What a reader sees of a page, white space as it stands."""
    return (
        re.sub(r"<[^>]*>", "", html.decode())
        .replace("&quot;", '"')
        .replace("&#x27;", "'")
        .replace("&amp;", "&")
    )


# -- who may ------------------------------------------------------------------------------------------------------

PAGES = [("live", []), ("channels", []), ("at", ["0.1-0"]), ("message", [1]), ("raw", [1])]


@pytest.mark.parametrize(("name", "args"), PAGES)
def test_a_stranger_is_sent_to_the_login_page(client: Client, name: str, args: list[Any]) -> None:
    path = reverse(f"messaging:{name}", args=args)
    answer = client.get(path)
    assert answer.status_code == 302
    assert answer.url == f"/accounts/login/?next={path}"


@pytest.mark.parametrize(("name", "args"), PAGES)
def test_a_user_without_the_permission_is_refused(
    user: Callable[..., Client], name: str, args: list[Any]
) -> None:
    assert user("publish_message").get(reverse(f"messaging:{name}", args=args)).status_code == 403


@pytest.mark.parametrize("name", ["channels", "at", "message"])
def test_a_program_is_refused_instead_of_sent_to_a_form(client: Client, name: str) -> None:
    path = reverse(f"messaging:{name}", args={"channels": [], "at": ["0.1-0"], "message": [1]}[name])
    answer = client.get(path, headers={"Accept": "application/json"})
    assert answer.status_code == 403
    assert "messaging.view_message" in answer.json()["error"]


def test_only_who_may_publish_sees_the_box(viewer: Client, publisher: Client) -> None:
    assert b'id="publish"' not in viewer.get("/messages/").content
    assert b'id="publish"' in publisher.get("/messages/").content


def test_the_project_sets_filters_for_everybody(publisher: Client, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"LIVE_FILTERS": [("<Failures>", "?channel=a&q=-b")]}
    html = publisher.get("/messages/").content.decode()
    assert '<a href="?channel=a&amp;q=-b">&lt;Failures&gt;</a>' in html


def test_the_live_page_has_no_inline_script_or_style(publisher: Client) -> None:
    html = publisher.get("/messages/").content.decode()
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=", html)
    assert "<noscript>" in html


def test_an_empty_page_teaches_commands_that_work_here(
    viewer: Client, publisher: Client, settings: Settings
) -> None:
    settings.MESSAGING = {"URL": "unix:///srv/x.sock?db=0", "CAPTURE_CHANNELS": ["*"]}
    assert 'redis-cli -s /srv/x.sock PUBLISH updates "New' in text_of(publisher.get("/messages/").content)
    assert 'redis-cli PUBLISH updates "New' in text_of(viewer.get("/messages/").content)
    settings.MESSAGING = {"CAPTURE_CHANNELS": ["inbox.*"]}
    assert "redis-cli" not in text_of(publisher.get("/messages/").content)


def test_links_into_the_admin_are_for_staff_only(user: Callable[..., Client]) -> None:
    assert b'data-stored=""' in user("view_message").get("/messages/").content
    staff = user("view_message", is_staff=True).get("/messages/").content
    assert f'data-stored="{reverse("admin:messaging_message_changelist")}"'.encode() in staff


def test_a_message_is_published_again_in_the_admin(user: Callable[..., Client]) -> None:
    row = stored()
    path = f"/messages/{row.pk}/"
    again = reverse("admin:messaging_message_publish_again", args=[row.pk]).encode()
    assert again in user("view_message", "publish_message", is_staff=True).get(path).content
    assert again not in user("view_message", is_staff=True).get(path).content
    assert again not in user("view_message", "publish_message").get(path).content


# -- publish ------------------------------------------------------------------------------------------------------


def post(client: Client, **fields: str) -> Any:
    return client.post("/messages/publish/", fields)


@outside_transactions
def test_publish_answers_with_the_place_in_the_log(publisher: Client, broker: TestServer) -> None:
    answer = post(publisher, channel="orders.created", data='{"id": 1}', type="com.example.made", key="k1")
    assert answer.status_code == 201
    found = answer.json()
    assert found["channel"] == "orders.created"
    whole = publisher.get(f"/messages/at/{found['position']}/?format=json").json()
    assert whole["event"]["id"] == found["id"]
    assert whole["event"]["data"] == {"id": 1}
    assert whole["event"]["type"] == "com.example.made"
    assert whole["event"]["partitionkey"] == "k1"
    assert whole["pk"] is None


@outside_transactions
@pytest.mark.parametrize(
    ("typed", "content_type", "payload"),
    [
        (
            '{"n": 12345678901234567890123, "n": 1e400}',
            "application/json",
            '{"n":12345678901234567890123,"n":1e400}',
        ),
        ("New data\navailable", "text/plain", '"New data\\navailable"'),
        ("", "text/plain", '""'),
        ("42", "application/json", "42"),
    ],
)
def test_publish_sends_what_was_typed(
    publisher: Client, broker: TestServer, typed: str, content_type: str, payload: str
) -> None:
    place = post(publisher, channel="typed", data=typed).json()["position"]
    text = publisher.get(f"/messages/at/{place}/?format=json").content.decode()
    assert f'"data":{payload}}}' in text
    assert (
        json.loads(text, parse_int=str, parse_float=str)["event"].get("datacontenttype", "application/json")
        == content_type
    )


@outside_transactions
def test_a_text_that_looks_like_json_can_be_sent_as_text(publisher: Client, broker: TestServer) -> None:
    assert post(publisher, channel="typed", data="{not json").status_code == 400
    assert post(publisher, channel="typed", data="{not json", kind="text").status_code == 201


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"channel": ""}, "channel", "at least one character"),
        ({"channel": "a b"}, "channel", "'a b'"),
        ({"channel": "orders.*"}, "channel", "'*'"),
        ({"channel": "x" * 256}, "channel", "256"),
        ({"channel": "x", "type": "a\x00b"}, "type", "control character"),
        ({"channel": "x", "key": "k" * 256}, "key", "255"),
        ({"channel": "x", "data": '{"id": 1,}'}, "data", "line 1"),
        ({"channel": "x", "data": "x" * 300_000}, "data", "bytes, the limit is"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    publisher: Client, broker: TestServer, fields: dict[str, str], field: str, words: str
) -> None:
    answer = post(publisher, **fields)
    assert answer.status_code == 400
    errors = answer.json()["errors"]
    assert list(errors) == [field]
    assert words in errors[field][0]


def test_publish_needs_its_own_permission(viewer: Client, client: Client) -> None:
    assert post(viewer, channel="x", data="1").status_code == 403
    assert post(client, channel="x", data="1").status_code == 403


def test_publish_needs_the_token_against_forged_requests(admin_user: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    assert post(client, channel="x", data="1").status_code == 403


@outside_transactions
def test_without_redis_a_message_waits_in_the_outbox(publisher: Client) -> None:
    answer = post(publisher, channel="x", data="1")  # the settings of the tests point to nobody
    assert (answer.status_code, answer.json()["waits"]) == (202, True)
    row = Message.objects.pending().get()
    assert (row.event_id, row.channel, row.payload) == (answer.json()["id"], "x", "1")


@outside_transactions
def test_what_redis_took_without_an_answer_is_stored_once(publisher: Client, broker: TestServer) -> None:
    with patch("messaging.wire.raise_for", side_effect=BrokerUnavailable("no answer", maybe_sent=True)):
        answer = post(publisher, channel="x", data="1")
    assert (answer.status_code, answer.json()["position"]) == (202, None)
    relay = new_relay()
    drain(relay)
    assert [row.event_id for row in Message.objects.exclude(log_ms=None)] == [answer.json()["id"]]
    assert not Message.objects.pending().exists()


@outside_transactions
def test_without_redis_and_database_nothing_is_published(publisher: Client) -> None:
    with patch("messaging.outbox._write", side_effect=DatabaseError("disk full")):
        answer = post(publisher, channel="x", data="1")
    assert answer.status_code == 503
    assert answer.json()["error"] == "Not published: neither Redis nor the database takes it."


# -- one message --------------------------------------------------------------------------------------------------


@outside_transactions
def test_a_place_in_the_log_shows_the_stored_row_or_the_entry(viewer: Client, broker: TestServer) -> None:
    row = stored()
    assert viewer.get(f"/messages/at/{row.location}/").url == f"/messages/{row.pk}/"
    assert viewer.get(f"/messages/at/{row.location}/?format=json").json()["pk"] == row.pk
    event = publish("orders.paid", {"total": 3})
    page = viewer.get(f"/messages/at/{event.location}/")
    assert page.status_code == 200
    assert "in the log, not stored yet" in text_of(page.content)
    assert '"total": 3' in text_of(page.content)


@pytest.mark.parametrize(
    "place", ["0.1-0", "7.1-0", "x", "0.1", "1-0", "0.1-0-0", f"0.{10**19}-0", "0.-1-0", "0.²-1"]
)
def test_what_stands_nowhere_is_not_found(viewer: Client, broker: TestServer, place: str) -> None:
    assert viewer.get(f"/messages/at/{place}/").status_code == 404
    assert viewer.get(f"/messages/at/{place}/?format=json").status_code == 404


def test_an_entry_that_is_no_event_is_shown_as_it_is(viewer: Client, broker: TestServer) -> None:
    client = connection.client()
    position = client.xadd(keys.log(0), {"e": b"<not json>\xff"}).decode()
    document = viewer.get(f"/messages/at/0.{position}/?format=json").json()
    assert "UTF-8" in document["error"]
    assert document["cut"] == {"size": 11, "text": "<not json>\\xff"}
    page = viewer.get(f"/messages/at/0.{position}/")
    assert b"&lt;not json&gt;" in page.content
    assert "This entry of the log is not an event" in text_of(page.content)


def test_without_redis_what_is_not_stored_cannot_be_shown(viewer: Client) -> None:
    assert viewer.get("/messages/at/0.1-0/?format=json").status_code == 503
    assert "cannot be read now" in text_of(viewer.get("/messages/at/0.1-0/").content)


def test_the_page_of_a_message(viewer: Client) -> None:
    time = datetime.fromtimestamp(LOGGED / 1000, UTC) - timedelta(seconds=12)
    row = stored(
        data={"name": "Zoë", "n": 1},
        type="made",
        key="k1",
        time=time,
        headers={"tenant": "<b>"},
        traceparent="00-a-b-01",
    )
    answer = viewer.get(f"/messages/{row.pk}/")
    shown = text_of(answer.content)
    for words in (
        '"name": "Zoë"',
        '{"name":"Zoë","n":1}',
        "made",
        "k1",
        "/tests",
        row.event_id,
        row.location,
        "00-a",
    ):
        assert str(words) in shown
    assert "late 12 s" in shown
    assert b"&lt;b&gt;" in answer.content
    assert viewer.get(f"/messages/{row.pk + 1}/").status_code == 404


PAYLOADS = {
    "long integer": "9" * 5000,
    "out of range": '{"x":1e400}',
    "doubled keys": '{"a":1,"a":2}',
    "lone surrogate": '"\\ud800"',
    "deep": "[" * 3000 + "]" * 3000,
    "not balanced": "]]]{{",
    "empty": "",
    "html": '"</pre><script>alert(1)</script>"',
    "a megabyte": '["' + "x" * 1_000_000 + '"]',
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_any_payload_has_its_page(viewer: Client, payload: str) -> None:
    row = stored()
    Message.objects.filter(pk=row.pk).update(payload=payload)
    answer = viewer.get(f"/messages/{row.pk}/")
    assert answer.status_code == 200
    assert b"<script>alert" not in answer.content
    assert viewer.get(f"/messages/{row.pk}/raw/").content == payload.encode()


def test_bytes_have_a_dump_and_a_download(viewer: Client) -> None:
    row = stored("images.thumb", bytes(range(256)))
    assert "00000000  00 01 02" in text_of(viewer.get(f"/messages/{row.pk}/").content)
    answer = viewer.get(f"/messages/{row.pk}/raw/")
    assert answer.content == bytes(range(256))
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == f'attachment; filename="images.thumb-{row.pk}.bin"'
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_a_text_is_downloaded_as_its_characters(viewer: Client) -> None:
    row = stored("ä/../x", "grüße\n")
    answer = viewer.get(f"/messages/{row.pk}/raw/")
    assert answer.content == "grüße\n".encode()
    assert answer["Content-Disposition"] == f'attachment; filename="_.._x-{row.pk}.txt"'


def test_neighbours_are_those_of_the_channel_in_log_order(viewer: Client) -> None:
    first, other, second, third = (
        stored("a", seq=1),
        stored("b", seq=2),
        stored("a", seq=3),
        stored("a", seq=10),
    )
    html = viewer.get(f"/messages/{second.pk}/").content.decode()
    assert f'id="earlier" href="/messages/{first.pk}/"' in html
    assert f'id="later" href="/messages/{third.pk}/"' in html
    assert 'id="earlier"' not in viewer.get(f"/messages/{other.pk}/").content.decode()


def test_a_message_that_waits_says_so(viewer: Client) -> None:
    row = rows.pending_row(new_event("x", 1, source="/tests"), datetime.now(UTC))
    row.save()
    assert "pending" in text_of(viewer.get(f"/messages/{row.pk}/").content)
    assert viewer.get(f"/messages/{row.pk}/?format=json").json()["at"] is None


def test_suggestions_are_the_channels_that_were_seen(viewer: Client) -> None:
    now = datetime.now(UTC)
    Channel.objects.bulk_create(Channel(name=f"c{number:04}", first_seen=now) for number in range(600))
    names = viewer.get("/messages/channels/").json()["channels"]
    assert len(names) == 500
    assert names[:2] == ["c0000", "c0001"]


# -- the site's own pages -----------------------------------------------------------------------------------------


def test_login_takes_the_reader_back(client: Client, admin_user: User) -> None:
    page = client.get("/accounts/login/?next=/messages/")
    assert b'name="next" value="/messages/"' in page.content
    wrong = client.post("/accounts/login/", {"username": "admin", "password": "wrong"})
    assert 'role="alert"' in wrong.content.decode()
    right = client.post(
        "/accounts/login/", {"username": "admin", "password": "password", "next": "/messages/"}
    )
    assert right.url == "/messages/"


def test_missing_pages_have_the_site_around_them(client: Client) -> None:
    answer = client.get("/nothing/here/")
    assert answer.status_code == 404
    assert "Open the live log" in text_of(answer.content)
