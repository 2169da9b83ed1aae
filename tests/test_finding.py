"""The export and the look-up of places: from the log and the table, by the page's filters, honest about what is cut."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import Settings

from messaging import connection, exporter, keys, places, publish_many, rows
from messaging.frames import parse_id
from messaging.live.filters import Filter
from messaging.models import Channel, Message
from messaging.search import compile_search
from tests.servers import TestServer

pytestmark = pytest.mark.django_db(transaction=True)  # publish() goes straight to Redis

Fill = Callable[..., list[int]]


@pytest.fixture
def viewer() -> Client:
    user = User.objects.create_user("viewer")
    user.user_permissions.add(Permission.objects.get(codename="view_message"))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def fill(broker: TestServer) -> Fill:
    """`fill(10, stored=6, kept=7)`: n = 0 ... 9 in the log, the first 6 stored, only the last 7 still in the log."""

    def make(count: int, *, stored: int = 0, kept: int | None = None, channel: str = "a") -> list[int]:
        messages = [{"channel": channel, "data": {"n": n}} for n in range(count)]
        events = publish_many(messages, outbox=False)
        client = connection.client()
        epoch = client.get(keys.epoch(0)).decode()
        for event in events[:stored]:
            row = rows.pending_row(event, datetime.now(UTC))
            ms, _, seq = event.location.split(".")[1].partition("-")
            row.queued_at, row.epoch, row.partition, row.log_ms, row.log_seq = None, epoch, 0, ms, seq
            row.save()
        if kept is not None:
            client.xtrim(keys.log(0), maxlen=kept, approximate=False)
        return [int(event.location.split(".")[1].partition("-")[0]) for event in events]

    return make


def lines(response: Any) -> list[dict[str, Any]]:
    assert response.status_code == 200
    return [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]


def numbers(response: Any) -> list[int]:
    return [line["event"]["data"]["n"] for line in lines(response)]


def test_an_export_is_complete_across_log_and_table(viewer: Client, fill: Fill) -> None:
    fill(1200, stored=900, kept=600)
    assert numbers(viewer.get("/messages/export/")) == list(range(1199, -1, -1))
    response = viewer.get("/messages/export/?channel=a&q=data.n:7+-type:b")
    assert "attachment" in response["Content-Disposition"]
    assert numbers(response) == [7]
    assert numbers(viewer.get("/messages/export/?channel=b*")) == []


def test_an_export_of_a_span_of_time(viewer: Client, fill: Fill) -> None:
    first = fill(3)[-1]
    second = fill(5)[0]
    assert second > first or numbers(viewer.get("/messages/export/"))
    got = numbers(viewer.get(f"/messages/export/?until={first}"))
    assert got[-3:] == [2, 1, 0]
    assert numbers(viewer.get(f"/messages/export/?since={second + 60_000}")) == []


def test_a_cut_export_says_so(viewer: Client, fill: Fill, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"EXPORT_ROWS": 10}
    fill(150)
    *found, last = lines(viewer.get("/messages/export/"))
    assert len(found) == 10
    assert last["note"].startswith("Cut here, after 10 messages")
    assert "looked at" in lines(viewer.get("/messages/export/?q=nothing"))[-1]["note"]


def test_csv_is_safe_in_a_spreadsheet(viewer: Client, broker: TestServer) -> None:
    publish_many([("a", "=1+1"), ("a", -5), ("a", b"\x00\xff"), ("a", {"x": 'a,"b"\n'})], outbox=False)
    body = b"".join(viewer.get("/messages/export/?form=csv").streaming_content).decode()
    table = list(csv.DictReader(io.StringIO(body)))
    assert [row["data"] for row in table] == ['{"x":"a,\\"b\\"\\n"}', "AP8=", "-5", "'=1+1"]
    assert table[0]["channel"] == "a"
    assert table[0]["position"].startswith("0.")


def test_without_redis_an_export_has_the_table_and_says_what_is_missing(
    viewer: Client, fill: Fill, broker: TestServer
) -> None:
    fill(5, stored=3)
    broker.stop()
    *found, last = lines(viewer.get("/messages/export/"))
    assert [line["event"]["data"]["n"] for line in found] == [2, 1, 0]
    assert "could not be read" in last["note"]
    assert viewer.get("/messages/place/?ms=1").status_code == 503
    assert places.position() == ""


@pytest.mark.parametrize("query", ["form=xml", "since=x", "channel=", "q=" + "x" * 3000])
def test_what_is_refused(viewer: Client, broker: TestServer, query: str) -> None:
    assert viewer.get(f"/messages/export/?{query}").status_code == 400


def test_the_permission_is_needed(client: Client, broker: TestServer) -> None:
    for path in ("export/", "place/"):
        assert client.get(f"/messages/{path}").status_code == 302
        assert client.get(f"/messages/{path}", headers={"Accept": "application/json"}).status_code == 403


def test_what_a_user_may_not_hear_is_in_no_export_and_on_no_page(
    viewer: Client, fill: Fill, settings: Settings
) -> None:
    fill(2, stored=1, channel="mine.viewer")
    fill(2, stored=1, channel="mine.other")
    settings.MESSAGING = settings.MESSAGING | {"LIVE_MAY_HEAR": "tests.test_finding.only_mine"}
    found = lines(viewer.get("/messages/export/"))
    assert [line["event"]["subject"] for line in found] == ["mine.viewer"] * 2
    with_json = {"Accept": "application/json"}
    assert viewer.get(f"/messages/at/{found[0]['at']}/", headers=with_json).status_code == 200
    other = Message.objects.get(channel="mine.other")
    for path in ("", "raw/", "?format=json"):
        assert viewer.get(f"/messages/{other.pk}/{path}").status_code == 403
    Channel.objects.bulk_create(
        Channel(name=name, first_seen=datetime.now(UTC)) for name in ("mine.viewer", "mine.other")
    )
    assert viewer.get("/messages/channels/").json() == {"channels": ["mine.viewer"]}


def test_a_place_tells_nothing_of_what_a_user_may_not_hear(
    viewer: Client, fill: Fill, settings: Settings
) -> None:
    fill(3, channel="mine.viewer")
    at = {line["event"]["subject"]: line["at"] for line in lines(viewer.get("/messages/export/"))}
    fill(4, channel="mine.other")
    at |= {
        line["event"]["subject"]: line["at"] for line in lines(viewer.get("/messages/export/?channel=*other"))
    }
    fill(1, channel="mine.viewer")
    stored = Message(
        channel="mine.other", time=datetime.now(UTC), partition=0, log_ms=1, log_seq=1, epoch="e"
    )
    stored.save()
    moment = 2**52
    all_of_it = parse_id(
        viewer.get(f"/messages/place/?ms={moment}&before=2").json()["position"], partitions=1
    )
    settings.MESSAGING = settings.MESSAGING | {"LIVE_MAY_HEAR": "tests.test_finding.only_mine"}
    for query in (
        f"at={at['mine.other']}",
        f"at={at['mine.other']}&channel=mine.viewer",
        "at=0.1-1",  # the table has it, and the log has not
        f"at={at['mine.viewer']}&channel=mine.other",
        "ms=1&channel=mine.other",
        "channel=mine.viewer&channel=mine.other",
    ):
        answer = viewer.get(f"/messages/place/?{query}")
        assert (answer.status_code, answer.json().keys()) == (403, {"error"}), query
    assert viewer.get(f"/messages/place/?at={at['mine.viewer']}&channel=mine.viewer").status_code == 200
    for query in ("", "&channel=mine.*"):  # what is before the place counts only if it is heard
        answer = viewer.get(f"/messages/place/?ms={moment}&before=2{query}").json()
        assert parse_id(answer["position"], partitions=1) < all_of_it


def only_mine(user: User, channel: str) -> bool:
    return channel == f"mine.{user.username}"


@pytest.mark.parametrize("kept", [None, 20])
def test_a_place_is_some_messages_before_the_one_asked_for(
    viewer: Client, fill: Fill, kept: int | None
) -> None:
    fill(50, stored=50, kept=kept)
    target = next(line for line in lines(viewer.get("/messages/export/")) if line["event"]["data"]["n"] == 20)
    for filters in ("", "&channel=a", "&channel=*a*"):
        answer = viewer.get(f"/messages/place/?at={target['at']}&before=5{filters}").json()
        where = parse_id(answer["position"], partitions=1)
        shown = exporter.ndjson(connection.client(), exporter.Export(Filter.of(()), compile_search("")))
        after = [
            found
            for found in map(json.loads, b"".join(shown).splitlines())
            if tuple(map(int, found["at"].split(".")[1].split("-"))) > where[0][1:]
        ]
        assert min(found["event"]["data"]["n"] for found in after) == 15, filters


def test_a_place_that_is_no_more(viewer: Client, fill: Fill) -> None:
    fill(3)
    assert viewer.get("/messages/place/?at=0.1-0").status_code == 404
    assert viewer.get("/messages/place/?at=x").status_code == 404
    assert viewer.get("/messages/place/?ms=x").status_code == 400
    now = viewer.get(f"/messages/place/?ms={2**52}&before=0").json()["position"]
    assert parse_id(now, partitions=1) is not None
    assert parse_id(places.position(), partitions=1) is not None
