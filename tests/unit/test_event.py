"""Facts -> event -> bytes -> event: exact both ways, and bad facts are refused with the value."""

import enum
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import example, given
from hypothesis import strategies as st

from messaging.attributes import KNOWN, MAX_ATTRIBUTE, check_channel
from messaging.decoder import NotAnEvent, _decode_any, decode
from messaging.errors import InvalidAttribute, InvalidChannel, InvalidMessage, Unencodable
from messaging.event import Event, encode, new_event, new_id
from messaging.payload import BINARY, JSON, TEXT

WHEN = datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC)


class Channel(enum.StrEnum):
    CREATED = "orders.created"


def made(channel: Any = "orders.created", data: Any = None, **attributes: Any) -> Event:
    return new_event(channel, data, source="/shop", **attributes)


# -- the envelope ------------------------------------------------------------------------------------------------


def test_the_envelope_is_a_cloudevent_with_its_data_last() -> None:
    event = made(
        data={"id": 1},
        id="e1",
        time=WHEN,
        key="k",
        correlation_id="c",
        causation_id="d",
        traceparent="00-1-2-01",
        headers={"tenant": "t"},
    )
    assert encode(event).decode() == (
        '{"specversion":"1.0","id":"e1","source":"/shop","type":"orders.created","subject":"orders.created",'
        '"time":"2026-01-02T03:04:05.000600Z","partitionkey":"k","correlationid":"c","causationid":"d",'
        '"traceparent":"00-1-2-01","tenant":"t","data":{"id":1}}'
    )


def test_text_and_bytes_say_what_they_are() -> None:
    text = json.loads(encode(made(data="hello")))
    assert (text["datacontenttype"], text["data"]) == (TEXT, "hello")
    binary = json.loads(encode(made(data=b"\x00\xff")))
    assert (binary["datacontenttype"], binary["data_base64"]) == (BINARY, "AP8=")
    assert "datacontenttype" not in json.loads(encode(made(data=1)))


def test_an_id_is_a_uuid_that_grows_with_time() -> None:
    ids = [new_id() for _ in range(100)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 100
    assert {each[14] for each in ids} == {"7"}


def test_what_is_not_given_has_its_default() -> None:
    before = datetime.now(UTC)
    event = made(data=1)
    assert (event.type, event.channel, event.content_type) == ("orders.created", "orders.created", JSON)
    assert before <= event.time <= datetime.now(UTC)
    assert (event.key, event.headers, event.location) == ("", {}, None)


def test_a_subclass_of_str_counts_as_the_text_in_it() -> None:
    event = made(Channel.CREATED, 1, type=mark_safe("t"), key=Channel.CREATED, headers={"h": mark_safe("v")})
    for text in (event.channel, event.type, event.key, event.headers["h"]):
        assert type(text) is str
    assert decode(encode(event)) == event


class Moment(datetime):
    """As freezegun and time-machine make them."""


@pytest.mark.parametrize(
    "time",
    [
        WHEN.astimezone(timezone(timedelta(hours=5, minutes=30))),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 1, 1, tzinfo=UTC),
        Moment(2026, 1, 1, 0, 0, 0, 7, tzinfo=UTC),
    ],
)
def test_a_time_is_exact_to_the_microsecond_and_in_utc(time: datetime) -> None:
    event = made(data=1, time=time)
    assert event.time == time
    assert event.time.tzinfo is UTC
    assert decode(encode(event)).time == time
    assert json.loads(encode(event))["time"].endswith("Z")


# -- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ("", "at least one character"),
        ("a b", "no ' ' in it"),
        ("a\n", r"no '\n' in it"),
        ("a\x00", r"no '\x00' in it"),
        ("a\x85", r"no '\x85' in it"),
        ("a\u2028", r"no '\u2028' in it"),
        ("a*", "no '*' in it"),
        ("[a", "no '[' in it"),
        ("a]", "no ']' in it"),
        ("a?", "no '?' in it"),
        ("a\\", r"no '\\' in it"),
        ("\ud800", r"no '\ud800' in it"),
        ("a" * 256, "at most 255 characters, this one has 256"),
        (None, "is a str, not NoneType: None"),
        (b"a", "is a str, not bytes: b'a'"),
        (["a"], "is a str, not list: ['a']"),
        (gettext_lazy("a"), "is a str, not __proxy__"),
    ],
)
def test_a_bad_channel_is_refused_with_the_value(channel: Any, said: str) -> None:
    with pytest.raises(InvalidChannel) as caught:
        made(channel)
    assert said in str(caught.value)


@pytest.mark.parametrize("channel", ["a", "a" * 255, "Ünï.codé", "a:b/c.d-e_f{1}", "🎉", "%s", "'\""])
def test_a_good_channel_is_taken(channel: str) -> None:
    assert check_channel(channel) == channel
    assert decode(encode(made(channel, 1))).channel == channel


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"id": ""}, "id has 1 to 255 characters, this one has 0"),
        ({"id": "x" * 100_000}, "this one has 100,000"),
        ({"id": 7}, "id is a str, not int: 7"),
        ({"type": ""}, "type has 1 to 255 characters"),
        ({"type": "a\nb"}, r"type has no control character such as '\n'"),
        ({"type": ["a"]}, "type is a str, not list: ['a']"),
        ({"type": "\ud800"}, "type has a lone surrogate"),
        ({"key": 0}, "key is a str, not int: 0"),
        ({"key": "k" * 256}, "partitionkey has 1 to 255 characters"),
        ({"key": "a\x9f"}, "no control character"),
        ({"correlation_id": False}, "correlation_id is a str, not bool: False"),
        ({"causation_id": "\x00"}, "causationid has no control character"),
        ({"traceparent": b"00"}, "traceparent is a str, not bytes"),
        ({"headers": {"Tenant": "t"}}, "lower-case letters and digits"),
        ({"headers": {"a_b": "t"}}, "'a_b'"),
        ({"headers": {"": "t"}}, "''"),
        ({"headers": {"h" * 21: "t"}}, "1 to 20"),
        ({"headers": {1: "t"}}, "1"),
        ({"headers": {"subject": "t"}}, "is not an attribute of the event: 'subject'"),
        ({"headers": {"h": 1}}, "header 'h' is a str, not int: 1"),
        ({"headers": {"h": "v" * 4097}}, "1 to 4,096 characters, this one has 4,097"),
        ({"headers": {"h": "\x01"}}, "no control character"),
        ({"headers": ["h"]}, "headers are a mapping"),
        ({"headers": "h"}, "headers are a mapping"),
        ({"time": WHEN.replace(tzinfo=None)}, "time is an aware datetime"),
        ({"time": "2026-01-01T00:00:00Z"}, "time is an aware datetime, not '2026"),
        ({"time": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))}, "outside the years 1 to 9999"),
    ],
)
def test_a_bad_attribute_is_refused_with_the_value(attributes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidAttribute) as caught:
        encode(made(data=1, **attributes))
    assert said in str(caught.value)


# -- round trips --------------------------------------------------------------------------------------------------

control = ["Cc", "Cs"]
attribute = st.text(st.characters(exclude_categories=control), min_size=1, max_size=MAX_ATTRIBUTE)
channels = attribute.filter(lambda text: not set(text) & set("*?[]\\") and not any(map(str.isspace, text)))
headers = st.dictionaries(
    st.text("abcxyz0189", min_size=1, max_size=20).filter(lambda name: name not in KNOWN),
    st.text(st.characters(exclude_categories=control), max_size=100),
    max_size=3,
)
data = (
    st.none()
    | st.integers()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
    | st.dictionaries(st.text("ab"), st.booleans())
)
facts = st.fixed_dictionaries(
    {"channel": channels, "data": data},
    optional={
        "id": attribute,
        "type": attribute,
        "key": attribute,
        "correlation_id": attribute,
        "causation_id": attribute,
        "traceparent": attribute,
        "time": st.datetimes(
            min_value=datetime(1, 1, 2, tzinfo=UTC).replace(tzinfo=None),
            max_value=datetime(9999, 12, 30, tzinfo=UTC).replace(tzinfo=None),
            timezones=st.timezones(),
        ),
        "headers": headers,
    },
)


@given(facts)
def test_an_event_comes_back_exactly_as_it_was(facts: dict[str, Any]) -> None:
    event = made(**facts)
    assert decode(encode(event)) == event


@given(facts)
def test_the_quick_way_to_read_an_envelope_and_the_thorough_one_agree(facts: dict[str, Any]) -> None:
    body = encode(made(**facts))
    assert decode(body, location="0.1-0") == _decode_any(body, None, "0.1-0")


@given(st.text() | st.binary(), st.text(), attribute)
def test_whatever_is_published_is_taken_whole_or_refused_whole(data: Any, channel: str, type: str) -> None:
    try:
        event = made(channel, data, type=type)
        body = encode(event)
    except InvalidMessage:
        return
    assert decode(body) == event


def test_every_data_is_checked_before_an_envelope_is_made() -> None:
    with pytest.raises(Unencodable):
        made(data=float("nan"))


# -- what others write --------------------------------------------------------------------------------------------

GOOD = {"specversion": "1.0", "id": "e1", "source": "/s", "type": "t", "subject": "c"}


def body(**changes: Any) -> bytes:
    return json.dumps({name: value for name, value in (GOOD | changes).items() if value is not ...}).encode()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"hello", "not a JSON object"),
        (b"\xff", "not UTF-8: invalid start byte at byte 0"),
        (body() + b"x", "not a JSON object"),
        (b"[" * 100_000, "not a JSON object"),
        (body(specversion=...), "specversion is not \"1.0\": b'missing'"),
        (body(specversion="0.3"), 'specversion is not "1.0"'),
        (body(specversion="2.0"), 'specversion is not "1.0"'),
        (body(specversion=1.0), 'specversion is not "1.0"'),
        (body(id=...), "id is missing or empty"),
        (body(id=""), "id is missing or empty"),
        (body(id=None), "id is missing or empty"),
        (body(id=7), "id is not a string"),
        (body(id="x" * 100_000), "id has 100,000 characters, the limit is 255"),
        (body(source=...), "source is missing or empty"),
        (body(type=...), "type is missing or empty"),
        (body(subject=...), "channel is missing or empty"),
        (body(id="a\x00b"), "id has a control character"),
        (body(id="\x7f"), "id has a control character"),
        (body(id="\x7f").replace(b"\\u007f", b"\x7f"), "id has a control character"),
        (body(source="\ud800"), "not a JSON object"),
        (body(Tenant="t"), "lower-case letters and digits: 'Tenant'"),
        (body(**{"x" * 40: "t"}), "lower-case letters and digits"),
        (body(**{"": "t"}), "lower-case letters and digits: ''"),
        (body(tenant={"a": 1}), "attribute tenant is not a string, boolean or integer"),
        (body(tenant=1.5), "attribute tenant is not a string"),
        (body(tenant="t" * 5000), "tenant has 5,000 characters, the limit is 4,096"),
        (body(data=1, data_base64="AA=="), "both data and data_base64"),
        (body(data=None, data_base64="AA=="), "both data and data_base64"),
        (body(data_base64="A"), "data_base64 is not base64"),
        (body(data_base64="ÄÄ"), "data_base64 is not base64"),
        (body(data_base64=7), "data_base64 is not base64"),
        (body(time="yesterday"), "time is not RFC 3339: 'yesterday'"),
        (body(time="2026-01-01"), "time is not RFC 3339"),
        (body(time="2026-01-01T00:00:00"), "time is not RFC 3339"),
        (body(time="2026-13-01T00:00:00Z"), "time is not RFC 3339"),
        (body(time="0001-01-01T00:00:00+01:00"), "time is not RFC 3339"),
        (body(time=7), "time is not a string"),
        (body(datacontenttype="json"), "datacontenttype is not a media type"),
        (body(datacontenttype=""), "datacontenttype is not a media type"),
        (body(traceparent="x" * 300), "traceparent has 300 characters"),
    ],
)
def test_an_envelope_that_breaks_the_rules_is_told_why(raw: bytes, said: str) -> None:
    with pytest.raises(NotAnEvent) as caught:
        decode(raw)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"payload": b"null", "content_type": JSON}),
        ({"data": None}, {"payload": b"null"}),
        ({"data": {"a": 1}}, {"payload": b'{"a": 1}'}),
        ({"data_base64": "AP8="}, {"payload": b"\x00\xff", "binary": True, "content_type": BINARY}),
        ({"data_base64": ""}, {"payload": b"", "binary": True}),
        (
            {"data_base64": "e30=", "datacontenttype": JSON},
            {"payload": b"{}", "binary": True, "content_type": JSON},
        ),
        (
            {"data": "<a/>", "datacontenttype": "application/xml; charset=utf-8"},
            {"content_type": "application/xml; charset=utf-8", "payload": b'"<a/>"'},
        ),
        ({"time": "2026-01-02T05:04:05.0006+02:00"}, {"time": WHEN}),
        ({"time": "2026-01-02t03:04:05.000600z"}, {"time": WHEN}),
        ({"time": "2026-01-02T03:04:05.000600100Z"}, {"time": WHEN}),
        ({"tenant": "t", "count": 7, "on": True, "empty": ""},
         {"headers": {"tenant": "t", "count": "7", "on": "true", "empty": ""}}),
        ({"tenant": None, "time": None, "partitionkey": None, "datacontenttype": None}, {"headers": {}, "key": ""}),
        ({"dataschema": "https://example.org/s"}, {"headers": {"dataschema": "https://example.org/s"}}),
        ({"logid": "0123456789abcdef.0.1-0"}, {"headers": {}}),
        ({"id": 'q"u\\o\u2028te'}, {"id": 'q"u\\o\u2028te'}),
        ({"source": "x" * 255, "type": "ü" * 255}, {"source": "x" * 255, "type": "ü" * 255}),
    ],
)  # fmt: skip
def test_an_envelope_of_others_is_taken(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    event = decode(body(**changes))
    assert {name: getattr(event, name) for name in expected} == expected
    assert decode(encode(event)) == event


def test_of_a_name_that_stands_twice_the_last_counts() -> None:
    raw = b'{"specversion":"1.0","id":"a","id":"b","source":"/s","type":"t","subject":"c","data":1,"data":2}'
    event = decode(raw)
    assert (event.id, event.payload) == ("b", b"2")


def test_without_a_time_it_has_that_of_its_place_in_the_log() -> None:
    assert decode(body(), location="0.1763765275123-4").time == datetime(
        2025, 11, 21, 22, 47, 55, 123000, UTC
    )
    before = datetime.now(UTC)
    assert before <= decode(body()).time <= datetime.now(UTC)
    assert before <= decode(body(), location="0.18446744073709551615-0").time <= datetime.now(UTC)


def test_the_channel_it_came_on_wins_over_its_subject_which_is_kept() -> None:
    event = decode(body(), channel="other")
    assert (event.channel, event.headers) == ("other", {"originalsubject": "c"})
    assert decode(body(), channel="c").headers == {}
    assert decode(body(subject=...), channel="c").headers == {}
    assert decode(body(originalsubject="first"), channel="other").headers == {"originalsubject": "first"}


json_ish = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
envelope_ish = st.dictionaries(st.sampled_from([*KNOWN, "tenant", "Bad", "x" * 21]), json_ish).map(
    lambda changes: json.dumps(GOOD | changes).encode()
)


@given(st.binary() | st.text().map(lambda text: text.encode(errors="replace")) | envelope_ish)
@example(b"\x00")
@example(b"null")
def test_any_bytes_are_an_event_that_can_be_written_again_or_a_reason(raw: bytes) -> None:
    try:
        event = decode(raw, location="0.1-0")
    except NotAnEvent:
        return
    assert decode(encode(event)) == msgspec.structs.replace(event, location=None)
