"""What the settings redact is shown nowhere: streams, pages, admin, exports; and no search tells it."""

import asyncio
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import Settings

from messaging import connection, keys, publish, redaction, rows
from messaging.checks import check_settings
from messaging.event import encode, new_event
from messaging.live.access import Claim, admit
from messaging.live.filters import Filter
from messaging.live.hub import Hub
from messaging.live.query import Query
from messaging.live.sight import Sight
from messaging.live.stream import Stream
from messaging.models import Message, Quarantine
from tests.sse import parse

SECRET = "hunter2"
DATA = {"user": {"name": "Ann", "password": SECRET}, "n": 1}
SEEN = {"user": {"name": "Ann", "password": "[redacted]"}, "n": 1}

pytestmark = pytest.mark.django_db(transaction=True)

Login = Callable[..., Client]


@pytest.fixture(autouse=True)
def redacting(settings: Settings) -> None:
    fields = ["data.**.password", "headers.auth*", "keyed:key", "hidden.*:data"]
    settings.MESSAGING = settings.MESSAGING | {"REDACT_FIELDS": fields}


@pytest.fixture
def login() -> Login:
    def make(*codenames: str) -> Client:
        user = User.objects.create_user(f"user{User.objects.count()}", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=["view_message", *codenames]))
        client = Client()
        client.force_login(user)
        return client

    return make


def stored(channel: str = "logins", data: Any = DATA, **attributes: Any) -> Message:
    """Published and stored."""
    event = publish(channel, data, outbox=False, **attributes)
    row = rows.pending_row(event, datetime.now(UTC))
    partition, _, position = (event.location or "").partition(".")
    row.queued_at, row.epoch = None, connection.client().get(keys.epoch(0)).decode()
    row.partition, (row.log_ms, row.log_seq) = int(partition), map(int, position.split("-"))
    row.stored_at = row.time
    row.save()
    return row


def streamed(client: Client, query: str = "") -> list[dict[str, Any]]:
    """The history that a stream begins with, under WSGI."""
    response = client.get(f"/messages/stream?{query}")
    assert response.status_code == 200
    text, chunks = b"", iter(response.streaming_content)
    while b"event: live" not in text:
        text += next(chunks)
    response.close()
    return [event.data for event in parse(text) if event.name == "message"]


# -- what is left of an event -------------------------------------------------------------------------------------


def test_of_an_event_only_what_is_named_is_replaced() -> None:
    event = new_event("logins", DATA, source="/t", key="k", headers={"authorization": SECRET, "other": "x"})
    shown = redaction.redacted(event, None)
    assert shown.data == SEEN
    assert shown.headers == {"authorization": "[redacted]", "other": "x"}
    assert (shown.key, shown.id) == ("k", event.id)
    plain = new_event("logins", {"n": 1}, source="/t")
    assert redaction.redacted(plain, None) is plain
    assert redaction.redacted(new_event("keyed", 1, source="/t", key=SECRET), None).key == "[redacted]"
    for data in (b"\x00" + SECRET.encode(), SECRET, DATA):
        assert redaction.redacted(new_event("hidden.x", data, source="/t"), None).data == "[redacted]"


def test_a_function_that_fails_shows_nothing(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    settings.MESSAGING = settings.MESSAGING | {"REDACT": "tests.redacting.for_all", "REDACT_FIELDS": []}
    assert not redaction.asks_user()
    assert redaction.redacted(new_event("texts", "x", source="/t"), None).data == "hidden"
    failed = redaction.redacted(new_event("broken", SECRET, source="/t", key=SECRET), None)
    assert (failed.data, failed.key) == (redaction.FAILED, "")
    assert "LookupError" in caplog.text
    assert SECRET not in caplog.text


def test_arguments_of_tasks(settings: Settings) -> None:
    assert redaction.argument(DATA) == SEEN
    assert redaction.argument({"password": SECRET, "to": "a@b"}) == {"password": "[redacted]", "to": "a@b"}
    assert redaction.argument("text") == "text"
    assert SECRET not in redaction.argument(encode(new_event("logins", DATA, source="/t")).decode())


# -- where it is shown --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("broker")
def test_no_page_shows_it(login: Login) -> None:
    row = stored(headers={"authorization": SECRET})
    big = stored("logins", DATA | {"filler": "x" * 10_000})
    only_logged = publish("logins", DATA, outbox=False)
    client = login()
    frames = streamed(client, "channel=logins")
    assert [frame.get("redacted") for frame in frames] == [True, True, True]
    assert frames[0]["event"]["data"] == frames[2]["event"]["data"] == SEEN
    assert SECRET not in json.dumps(frames)
    assert "cut" in frames[1]
    paths = [
        *(f"/messages/{each.pk}/{query}" for each in (row, big) for query in ("", "?format=json")),
        f"/messages/at/{only_logged.location}/",
        f"/messages/at/{only_logged.location}/?format=json",
        f"/messages/{row.pk}/raw/",
        "/admin/messaging/message/",
        f"/admin/messaging/message/{row.pk}/change/",
        f"/admin/messaging/message/{row.pk}/payload/",
        f"/admin/messaging/message/{row.pk}/state/",
    ]
    for path in paths:
        response = client.get(path)
        assert response.status_code == 200, path
        assert SECRET not in response.content.decode(), path
    assert json.loads(client.get(f"/messages/{row.pk}/?format=json").content)["redacted"] is True
    publisher = login("publish_message")
    for path in (
        f"/admin/messaging/message/{row.pk}/publish-again/",
        f"/admin/messaging/message/add/?template={row.pk}",
    ):
        response = publisher.get(path)
        assert response.status_code == 200
        assert SECRET not in response.content.decode(), path
    for form in ("ndjson", "csv"):
        exported = b"".join(client.get(f"/messages/export/?form={form}").streaming_content).decode()
        assert SECRET not in exported
        assert exported.count("[redacted]") == {"ndjson": 4, "csv": 3}[form]


@pytest.mark.usefixtures("broker")
def test_files_are_as_published_for_those_who_may(login: Login) -> None:
    row = stored()
    client = login("view_unredacted")
    assert json.loads(client.get(f"/messages/{row.pk}/raw/").content) == DATA
    assert json.loads(client.get(f"/admin/messaging/message/{row.pk}/payload/").content) == DATA
    assert SECRET in b"".join(client.get("/messages/export/").streaming_content).decode()
    # for eyes it is redacted for everybody
    assert SECRET not in client.get(f"/messages/{row.pk}/").content.decode()
    assert SECRET not in client.get(f"/messages/{row.pk}/?format=json").content.decode()
    assert SECRET not in json.dumps(streamed(client))
    # and what is published again is what was published
    both = login("view_unredacted", "publish_message")
    both.post(f"/admin/messaging/message/{row.pk}/publish-again/", {"post": "yes"})
    assert Message.objects.order_by("-pk").first().data == DATA
    assert SECRET in both.get(f"/admin/messaging/message/add/?template={row.pk}").content.decode()


@pytest.mark.usefixtures("broker")
def test_no_search_tells_it(login: Login) -> None:
    row = stored()
    keyed = stored("keyed", 1, key=SECRET)
    for client in (login(), login("view_unredacted")):
        for term in (SECRET, "data.user.password:" + SECRET, "key:" + SECRET, "-hunter"):
            exported = b"".join(client.get("/messages/export/", {"q": term}).streaming_content).splitlines()
            assert len(exported) == (2 if term == "-hunter" else 0), term
        for term, found in ((SECRET, []), ("Ann", [row.pk]), ("Ann redacted", []), (row.event_id, [row.pk])):
            response = client.get("/admin/messaging/message/", {"q": term})
            assert [each.pk for each in response.context["cl"].result_list] == found, term
        assert keyed.pk


@pytest.mark.usefixtures("broker")
def test_what_cannot_be_read_is_not_shown(login: Login) -> None:
    connection.client().xadd(keys.log(0), {"e": f'{{"secret": "{SECRET}"'})
    entry = Quarantine.objects.create(
        epoch="e",
        partition=0,
        log_ms=1,
        log_seq=0,
        body=SECRET.encode(),
        reason=f"not an event: {SECRET}",
        quarantined_at=datetime.now(UTC),
    )
    client = login("view_quarantine", "delete_quarantine")
    assert [frame["error"] for frame in streamed(client)] == [redaction.UNREADABLE]
    for path in ("", "?q=" + SECRET, f"{entry.pk}/change/"):
        response = client.get(f"/admin/messaging/quarantine/{path}")
        assert not re.search(f"(?<!q=)(?<!q%3D){SECRET}", response.content.decode()), path
        assert entry.location in response.content.decode(), path  # no search has left it out
    assert client.get(f"/admin/messaging/quarantine/{entry.pk}/body/").status_code == 403
    assert SECRET not in b"".join(client.get("/messages/export/").streaming_content).decode()
    may = login("view_quarantine", "view_unredacted")
    assert may.get(f"/admin/messaging/quarantine/{entry.pk}/body/").content == SECRET.encode()


# -- streams that share a hub -------------------------------------------------------------------------------------


class Listener:
    def __init__(self, hub: Hub, filter_: Filter, last: int = 0) -> None:
        self.chunks: list[bytes] = []
        self.stream = Stream(hub, Query(filter_, last, None))
        self.task = asyncio.create_task(self.stream.run(self._send))

    async def _send(self, message: dict[str, bytes]) -> None:
        self.chunks.append(message["body"])

    @property
    def data(self) -> list[Any]:
        return [
            event.data["event"]["data"] for event in parse(b"".join(self.chunks)) if event.name == "message"
        ]

    async def has(self, *data: Any) -> None:
        async with asyncio.timeout(30):
            while self.data != list(data) or b"event: live" not in b"".join(self.chunks):  # noqa: ASYNC110
                await asyncio.sleep(0.005)


def see(name: str, *codenames: str) -> Filter:
    user = User.objects.create_user(name)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_message", *codenames]))
    client = Client()
    client.force_login(user)
    admission = admit(Claim(Filter.of(["staff"]), client.session.session_key))
    assert admission is not None
    return admission.filter


@pytest.fixture
def sights(settings: Settings) -> tuple[Filter, Filter]:
    settings.MESSAGING = settings.MESSAGING | {"REDACT": "tests.redacting.by_rights"}
    return see("one"), see("boss", "publish_message")


@pytest.mark.anyio
@pytest.mark.usefixtures("broker")
async def test_each_user_hears_what_that_user_may(sights: tuple[Filter, Filter]) -> None:
    one, boss = sights
    whole, less = {"salary": 5, "password": "[redacted]"}, {"salary": "secret", "password": "[redacted]"}
    await asyncio.to_thread(publish, "staff", {"salary": 5, "password": SECRET})
    hub = Hub()
    try:
        ours = [Listener(hub, one, last=5), Listener(hub, one, last=5), Listener(hub, boss, last=5)]
        for listener, seen in zip(ours, (less, less, whole), strict=True):
            await listener.has(seen)
        await asyncio.to_thread(publish, "staff", {"salary": 5, "password": SECRET})
        for listener, seen in zip(ours, (less, less, whole), strict=True):
            await listener.has(seen, seen)
        assert ours[0].stream.feed is ours[1].stream.feed is not ours[2].stream.feed
    finally:
        await hub.close()


def test_without_a_function_that_asks_for_the_user_all_share(settings: Settings) -> None:
    assert see("two") == see("three", "view_unredacted") == Filter.of(["staff"])
    assert Sight.of(None) is None
    settings.MESSAGING = settings.MESSAGING | {"REDACT": "tests.redacting.for_all"}
    assert Sight.of(None) is None


@pytest.mark.parametrize("field", ["password", "data.", "headers", "headers.a.b", ":data", "key.x"])
def test_a_field_that_names_nothing_is_an_error(settings: Settings, field: str) -> None:
    settings.MESSAGING = settings.MESSAGING | {"REDACT_FIELDS": [field], "REDACT": "tests.redacting.gone"}
    assert [error.id for error in check_settings()] == ["messaging.E007"] * 2
