"""Bytes of publishers that know nothing of us -> an event, whatever they are."""

import json
from base64 import b64decode
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from messaging.attributes import MAX_ATTRIBUTE
from messaging.decoder import decode
from messaging.event import Event, encode, new_event
from messaging.foreign import CUT_BYTES, LIST, PUBSUB, channel_name, envelope, own_epoch
from messaging.payload import BINARY, JSON, TEXT, parse_json

LIMIT = 4 * 1024 * 1024


def wrapped(raw: bytes, channel: bytes = b"updates", source: str = PUBSUB) -> Event:
    return decode(envelope(raw, channel=channel, source=source, limit=LIMIT))


def test_it_is_told_when_where_and_how_it_came() -> None:
    before = datetime.now(UTC)
    event = wrapped(b"hello", source=LIST)
    assert (event.channel, event.type, event.source) == ("updates", "updates", "/redis/list")
    assert before <= event.time <= datetime.now(UTC)
    assert event.id != wrapped(b"hello").id


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    ("raw", "content_type", "payload"),
    [
        (b'{"a": [1, 2]}', JSON, b'{"a": [1, 2]}'),
        (b"1", JSON, b"1"),
        (b"null", JSON, b"null"),
        (b'"text"', JSON, b'"text"'),
        (b"1e400", JSON, b"1e400"),
        (b"9" * 5000, JSON, b"9" * 5000),
        (b'{"a":1,"a":2}', JSON, b'{"a":1,"a":2}'),
        (b"[" * 500 + b"]" * 500, JSON, b"[" * 500 + b"]" * 500),
        (b"New data available", TEXT, b'"New data available"'),
        (b"", TEXT, b'""'),
        (b"NaN", TEXT, b'"NaN"'),
        (b"Infinity", TEXT, b'"Infinity"'),
        (b'{"a": NaN}', TEXT, None),
        (b"\x00", TEXT, b'"\\u0000"'),
        (b'{"a": "\x00"}', TEXT, None),
        (b'"\\ud800"', TEXT, None),
        (b"{", TEXT, None),
        (b"[" * 600 + b"]" * 600, TEXT, None),
        (DEEP, TEXT, None),
        ("ünï 🎉".encode(), TEXT, '"ünï 🎉"'.encode()),
        (b"\xef\xbb\xbf1", TEXT, None),
        (b"\xff\xfe", BINARY, b"\xff\xfe"),
        (b"\xed\xa0\x80", BINARY, b"\xed\xa0\x80"),  # a surrogate in UTF-8's clothes
        ("zażółć".encode("iso-8859-2"), BINARY, None),
    ],
)
def test_every_payload_is_kept(raw: bytes, content_type: str, payload: bytes | None) -> None:
    event = wrapped(raw)
    assert event.content_type == content_type
    assert event.binary is (content_type == BINARY)
    assert payload is None or event.payload == payload
    if content_type == TEXT:
        assert event.data.encode() == raw
    elif content_type == BINARY:
        assert event.data == raw


def test_of_what_is_too_large_the_beginning_is_kept_with_the_size() -> None:
    event = wrapped(b"x" * (10 * 1024 * 1024))
    assert event.headers == {"originalsize": "10485760"}
    assert event.data == "x" * CUT_BYTES
    assert wrapped(b"x" * LIMIT).headers == {}
    assert wrapped(b'"' + b"\xc3\xa4" * LIMIT + b'"').headers == {"originalsize": str(2 * LIMIT + 2)}


# -- CloudEvents --------------------------------------------------------------------------------------------------

GOOD = {"specversion": "1.0", "id": "e1", "source": "/s", "type": "t", "subject": "updates", "data": {"a": 1}}


def body(**changes: Any) -> bytes:
    return json.dumps({name: value for name, value in (GOOD | changes).items() if value is not ...}).encode()


def test_a_cloudevent_is_kept_as_it_is() -> None:
    event = wrapped(body(tenant="x", time="2026-01-02T03:04:05Z"))
    assert (event.id, event.source, event.type, event.channel) == ("e1", "/s", "t", "updates")
    assert event.time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (event.headers, event.payload) == ({"tenant": "x"}, b'{"a": 1}')


def test_a_cloudevent_keeps_a_subject_that_is_not_the_channel() -> None:
    event = wrapped(body(subject="order/7"))
    assert (event.channel, event.headers) == ("updates", {"originalsubject": "order/7"})


@pytest.mark.parametrize(
    "raw",
    [
        body(id=...),
        body(source=...),
        body(type=...),
        body(id=""),
        body(id=None),
        body(id="x" * 100_000),
        body(id="\x7f").replace(b"\\u007f", b"\x7f"),
        body(specversion="0.3"),
        body(specversion="2.0"),
        body(specversion=1),
        body(Tenant="x"),
        body(**{"x" * 40: "y"}),
        body(data_base64="AA=="),
        body(data=..., data_base64="not base64"),
        body(time="yesterday"),
        body(time=17),
        body(datacontenttype="\x00"),
        body(nested={"a": 1}),
    ],
)
def test_what_only_looks_like_a_cloudevent_is_wrapped_whole(raw: bytes) -> None:
    event = wrapped(raw)
    assert event.id != "e1"
    assert event.source == PUBSUB
    assert event.payload == raw


def test_an_empty_extension_stops_nobody() -> None:
    assert wrapped(body(tenant="")).headers == {"tenant": ""}


# -- our own ------------------------------------------------------------------------------------------------------


def test_our_own_messages_are_told_by_the_mark_at_their_end() -> None:
    ours = (
        encode(new_event("a", {"x": 1}, source="/s"))[:-1] + b',"logid":"0123456789abcdef.0.1763765275123-0"}'
    )
    assert own_epoch(ours) == "0123456789abcdef"
    longest = b'{"data":1,"logid":"0123456789abcdef.65535.18446744073709551615-18446744073709551615"}'
    assert own_epoch(longest) == "0123456789abcdef"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b'{"logid":"0123456789abcdef.0.1-0","a":1}',
        b'{"a":1,"logid":"0123456789abcdef.0.1-0"} ',
        b'{"a":1,"logid":"0123456789ABCDEF.0.1-0"}',
        b'{"a":1,"logid":"0123.0.1-0"}',
        b'{"a":1,"logid":"0123456789abcdef.0.1"}',
    ],
)
def test_nothing_else_passes_for_our_own(raw: bytes) -> None:
    assert own_epoch(raw) is None


# -- channel names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"orders.*", "orders.*"),
        (b"[a]?", "[a]?"),
        (b"a b", "a\\x20b"),
        (b"a\nb", "a\\nb"),
        (b"a\tb\x00", "a\\tb\\x00"),
        ("a\u2028b\x85".encode(), "a\\u2028b\\x85"),
        (b"\xff", "\\xff"),
        (b"", "(empty)"),
        ("ünï 🎉".encode(), "ünï\\x20🎉"),
    ],
)
def test_an_odd_channel_name_is_written_so_that_it_can_be_stored(raw: bytes, name: str) -> None:
    event = wrapped(b"1", channel=raw)
    assert event.channel == name
    assert b64decode(event.headers["rawchannel"]) == raw


def test_a_good_channel_name_stays_and_needs_no_header() -> None:
    assert channel_name("orders.created:ünï".encode()) == ("orders.created:ünï", {})


def test_a_long_channel_name_is_cut_and_stays_distinct() -> None:
    first, second = (wrapped(b"1", channel=b"x" * 10_000 + end) for end in (b"a", b"b"))
    assert len(first.channel) <= MAX_ATTRIBUTE
    assert first.channel != second.channel
    assert wrapped(b"1", channel=b"x" * 10_000 + b"a").channel == first.channel
    assert b64decode(first.headers["rawchannel"]) == b"x" * 3000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
changed = st.dictionaries(st.sampled_from([*GOOD, "time", "data_base64", "tenant", "X"]), json_values)


@given(
    st.binary()
    | st.text().map(lambda text: text.encode(errors="replace"))
    | json_values.map(lambda value: json.dumps(value).encode())
    | changed.map(lambda changes: json.dumps(GOOD | changes).encode()),
    st.binary(max_size=400),
)
@example(b"\x00", b"\xff")
def test_nothing_is_ever_refused(raw: bytes, channel: bytes) -> None:
    event = wrapped(raw, channel=channel)
    assert 0 < len(event.channel) <= MAX_ATTRIBUTE
    if event.source == PUBSUB:  # wrapped: nothing of it is lost
        again = event.data if event.binary else event.payload
        assert (
            again == raw
            or parse_json(event.payload) == raw.decode()
            or event.payload == raw.strip(b" \t\r\n")
        )
