"""What the page of a message offers to be copied, really run: it publishes the same again."""

import shlex
import subprocess
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from messaging import log
from messaging.connection import client as redis_client
from messaging.event import Event, new_event
from messaging.models import Message
from messaging.snippets import MAX_SNIPPET, command_line, curl, python, snippets
from tests.admin.conftest import Row
from tests.conftest import Manage
from tests.servers import TestServer
from tests.waiting import PATIENCE

URL = "https://testserver/messages/publish/"

AWKWARD = 'it\'s "quoted" $HOME `id` \\ !! é \t\n* ? ; & | > # -x </script> 😀'

EVENTS: dict[str, dict[str, Any]] = {
    "json": {"data": {"id": 1, "text": AWKWARD, "n": [1.5, None, True]}},
    "text": {"data": AWKWARD},
    "text that looks like JSON": {"data": '{"a": 1}'},
    "broken JSON as text": {"data": "[1, 2"},
    "number": {"data": -5},
    "another number": {"data": -1.5e300},
    "string as JSON": {"data": "42"},
    "dash": {"data": "-"},
    "option": {"data": "--help"},
    "empty text": {"data": ""},
    "NUL in a text": {"data": "a\x00b"},
    "attributes": {
        "data": 1,
        "type": "it's v2",
        "key": "-7 $x",
        "headers": {"tenant": AWKWARD[:19], "x": "a:b=c"},
    },
    "odd channel": {"channel": "-orders'$x", "data": {"a": "b"}},
    "channel to be quoted": {"channel": "orders'$x;", "data": {"a": "b"}},
    "bytes": {"data": bytes(range(256))},
}


def event(name: str) -> Event:
    attributes = {"channel": "orders.created"} | EVENTS[name]
    return new_event(attributes.pop("channel"), attributes.pop("data"), source="/x", **attributes)


def logged() -> Event:
    """The only event of the log."""
    (entry,) = log.newest(redis_client(), 0, count=5)
    return entry.event()


def assert_same(found: Event, expected: Event, *, headers: bool = True, content_type: bool = True) -> None:
    assert (found.channel, found.type, found.key) == (expected.channel, expected.type, expected.key)
    assert found.data == expected.data
    assert found.binary == expected.binary
    if headers:
        assert found.headers == expected.headers
    if content_type:
        assert found.content_type == expected.content_type


def texts(expected: Event) -> dict[str, str]:
    return {each.name: each.text for each in snippets(expected, publish_url=URL)}


def in_a_shell(line: str) -> list[str]:
    """The words behind the first, as a real shell hands them over."""
    script = "printf '%s\\0' " + line.partition(" ")[2]
    ran = subprocess.run(
        ["sh", "-c", script],
        capture_output=True,
        check=True,
        timeout=PATIENCE,
        env={"SESSIONID": "the session"},
    )
    return ran.stdout.decode().split("\0")[:-1]


WITH_ARGUMENTS = [name for name in EVENTS if name not in ("bytes", "odd channel")]
# What no argument can hold, or what would be an option or standard input, is sent as the JSON string that is stored.
AS_JSON = ("dash", "option", "empty text", "NUL in a text")


@pytest.mark.parametrize("name", WITH_ARGUMENTS)
def test_the_command_line(name: str, broker: TestServer, capfd: pytest.CaptureFixture[str]) -> None:
    expected = event(name)
    words = shlex.split(texts(expected)["command"])
    assert words[:3] == ["python", "manage.py", "publish"]
    call_command(*words[2:])
    assert_same(logged(), expected, content_type=name not in AS_JSON)


def test_the_command_line_as_a_process(broker: TestServer, manage: Manage) -> None:
    expected = event("attributes")
    words = shlex.split(texts(expected)["command"])
    assert manage(*words[2:]).wait() == 0
    assert_same(logged(), expected)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1))
def test_a_shell_reads_the_words_that_were_meant(text: str) -> None:
    made = new_event("orders.created", text, source="/x", time=datetime.now(UTC))
    line = command_line(made, "text", text)
    assert in_a_shell(line)[-1] == text
    assert shlex.split(line)[-1] == text


@pytest.mark.parametrize("name", EVENTS)
def test_python(name: str, broker: TestServer) -> None:
    expected = event(name)
    exec(texts(expected)["python"], {})  # noqa: S102 (that it runs is the point)
    assert_same(logged(), expected)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"a":1,"a":2}',
        b"[1e400]",
        b"9" * 5000,
        b"[" * 400 + b"]" * 400,
        b"0.1000000000000000055511151231257827",
    ],
)
def test_python_for_json_that_no_literal_says(payload: bytes, broker: TestServer) -> None:
    made = Event(id="x", source="/x", type="c", channel="c", time=datetime.now(UTC), payload=payload)
    assert "msgspec.Raw" in python(made)
    exec(python(made), {})  # noqa: S102
    assert logged().payload == payload


@pytest.mark.parametrize("name", WITH_ARGUMENTS)
def test_curl(name: str, db: None) -> None:
    expected = event(name)
    silent, url, *options = in_a_shell(texts(expected)["curl"])
    assert (silent, url) == ("-sS", URL)
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("someone"))
    headers, fields = {}, {}
    for option, value in zip(options[::2], options[1::2], strict=True):
        if option == "-b":
            client.cookies["csrftoken"] = value.partition("csrftoken=")[2]
            assert value.startswith("sessionid=the session; ")
        elif option == "-H":
            field, _, content = value.partition(": ")
            headers[field] = content
        else:
            assert option == "--data-urlencode"
            field, _, content = value.partition("=")
            fields[field] = content
    response = client.post("/messages/publish/", fields, headers=headers, secure=True)
    assert response.status_code == 201, response.content
    (row,) = Message.objects.all()  # the outbox has it, since the test is a transaction
    assert_same(row.as_event(), expected, headers=False, content_type=name not in AS_JSON)


def test_curl_leaves_the_session_to_the_shell() -> None:
    assert '"sessionid=$SESSIONID; csrftoken=' in curl(event("json"), "auto", "1", url=URL)


def test_nothing_is_offered_that_could_not_be_published() -> None:
    large = new_event("c", "x" * MAX_SNIPPET, source="/x")
    assert snippets(large, publish_url=URL) == []
    foreign = Event(id="x", source="/x", type="t", channel="two words", time=datetime.now(UTC), payload=b"1")
    assert snippets(foreign, publish_url=URL) == []
    assert {each.name for each in snippets(event("bytes"), publish_url=URL)} == {"python"}
    assert {each.name for each in snippets(event("odd channel"), publish_url=URL)} == {"python", "curl"}
    assert {each.name for each in snippets(event("json"), publish_url=None)} == {"command", "python"}


def test_they_stand_on_the_page_escaped(admin: Client, row: Row) -> None:
    html = admin.get(f"/admin/messaging/message/{row(data={'a': '<script>'}).pk}/change/").content.decode()
    assert "python manage.py publish orders.created" in html
    assert "http://testserver/messages/publish/" in html
    assert "<script>&" not in html
    assert "&lt;script&gt;" in html
