"""Frames: what a browser parses is what the log has; ids are read back as they were written."""

import json
from base64 import b64decode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from messaging.event import encode, new_event
from messaging.frames import BEAT, Place, comment, format_id, message, named, parse_id, with_id
from tests.sse import parse

LIMIT = 8 * 1024
WHERE = (Place("0123456789abcdef", 1763765275123, 0),)
NUMBERS = st.integers(0, 2**64 - 1)
EPOCHS = st.one_of(st.just(""), st.text("0123456789abcdef", min_size=16, max_size=16))
PLACES = st.builds(Place, EPOCHS, NUMBERS, NUMBERS)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc\n\u2028é"), inner, max_size=4),
    max_leaves=20,
)


def body_of(data: object, channel: str = "orders.created", **more: str) -> bytes:
    return encode(new_event(channel, data, source="/tests", **more))


def shown(body: bytes | None, *fields: bytes, limit: int = LIMIT) -> tuple[str | None, dict]:
    """Channel and data of an entry, as a client gets them."""
    channel, data = message("0.1763765275123-0", body, fields, limit=limit)
    (event,) = parse(with_id(WHERE, data))
    assert (event.name, event.last_id) == ("message", format_id(WHERE))
    assert event.data["at"] == "0.1763765275123-0"
    return channel, event.data


# -- ids


@given(st.lists(PLACES, min_size=1, max_size=4))
def test_an_id_is_read_back(places: list[Place]) -> None:
    assert parse_id(format_id(tuple(places)), partitions=len(places)) == tuple(places)


@given(st.text() | st.from_regex(r"[0-9a-f]{16}\.[0-9]+-[0-9]+"))
@example("0123456789abcdef.1-2,0123456789abcdef.1-2")
@example("0123456789ABCDEF.1-2")
@example("0123456789abcdef.1-18446744073709551616")
@example("0123456789abcdef.١-٢")
@example("." + "1" * 10_000 + "-1")
def test_what_is_no_id_of_ours_is_none(text: str) -> None:
    found = parse_id(text, partitions=1)
    assert found is None or parse_id(format_id(found), partitions=1) == found


def test_an_id_of_another_number_of_partitions_is_none() -> None:
    assert parse_id(format_id(WHERE * 3), partitions=2) is None


@given(PLACES)
def test_before_and_after_a_place(place: Place) -> None:
    if place.ms or place.seq:
        assert place.before() < place
        assert place.before().after() == place
    if (place.ms, place.seq) != (2**64 - 1, 2**64 - 1):
        assert place.after() > place


# -- messages


@given(JSON_VALUES)
def test_an_envelope_goes_out_as_it_is(data: object) -> None:
    body = body_of(data)
    channel, frame = shown(body, limit=10**9)
    assert channel == "orders.created"
    assert frame["event"] == json.loads(body)
    assert frame["event"]["data"] == data


@given(JSON_VALUES, st.sampled_from(["\n", "\r", "\r\n", "\n\n"]))
def test_newlines_between_tokens_do_not_end_a_frame(data: object, newline: str) -> None:
    body = json.dumps(json.loads(body_of(data)), indent=2).replace("\n", newline).encode()
    channel, frame = shown(body, limit=10**9)
    assert (channel, frame["event"]["data"]) == ("orders.created", data)


@given(st.binary(max_size=300))
def test_bytes_travel_as_base64(data: bytes) -> None:
    _, frame = shown(body_of(data))
    assert b64decode(frame["event"]["data_base64"]) == data


@given(
    st.one_of(st.none(), st.binary(max_size=200), JSON_VALUES.map(lambda value: json.dumps(value).encode()))
)
@example(None)
@example(b"")
@example(b"[" * 100_000)
@example(b'{"specversion":"1.0","id":"1","source":"/","type":"t","subject":"c","data":"\xff"}')
@example(b'{"specversion":"1.0","id":"1","source":"/","type":"t","subject":"c","data":NaN}')
@example(b'{"specversion":"1.0","id":"1","source":"/","type":"t","subject":"c","data":"\\ud800"}')
@example(b'{"specversion":"0.3","id":"1","source":"/","type":"t","subject":"c"}')
@example(b'{"specversion":"1.0","id":"1","source":"/","type":"t","subject":""}')
def test_what_is_no_event_is_shown_with_the_reason(body: bytes | None) -> None:
    channel, frame = shown(body, b"field", b"value\nof it")
    assert channel is None
    assert frame["error"]
    assert frame["cut"]["size"] == (len(b"field value\nof it") if body is None else len(body))


# -- payloads above the limit


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1), st.integers(10, 200))
def test_a_long_text_is_cut_within_a_character_at_most(text: str, limit: int) -> None:
    whole = text * (limit // len(text) + 1)
    _, frame = shown(body_of(whole), limit=limit)
    size = len(whole.encode())
    if "cut" not in frame:
        assert size <= limit
        assert frame["event"]["data"] == whole
        return
    assert frame["cut"]["size"] == size > limit
    assert whole.startswith(frame["cut"]["text"])
    assert len(frame["cut"]["text"].encode()) > limit - 4
    assert "data" not in frame["event"]
    assert frame["event"]["subject"] == "orders.created"


def test_long_json_is_cut_as_text() -> None:
    data = {"rows": ["é" * 10] * 2000}
    _, frame = shown(body_of(data, key="k"))
    payload = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    assert frame["cut"] == {"size": len(payload.encode()), "text": frame["cut"]["text"]}
    assert payload.startswith(frame["cut"]["text"])
    assert frame["event"]["partitionkey"] == "k"


@pytest.mark.parametrize("size", [30_000, 30_001, 30_002])
def test_long_bytes_are_cut(size: int) -> None:
    _, frame = shown(body_of(b"\xff" + b"a" * (size - 1)))
    assert frame["cut"]["size"] == size
    assert frame["cut"]["text"].startswith("\ufffdaaaa")


def test_a_long_envelope_with_a_short_payload_is_whole() -> None:
    body = encode(new_event("c", 1, source="/", headers={f"h{n}": "v" * 4000 for n in range(3)}))
    _, frame = shown(body)
    assert len(body) > LIMIT
    assert frame["event"]["data"] == 1


# -- the rest


def test_named_events_beats_and_comments() -> None:
    text = BEAT + comment("a\nb") + named("bye", {"reason": "age"}, id="x.1-0", retry=7)
    (event,) = parse(text)
    assert (event.name, event.data, event.last_id, event.retry) == ("bye", {"reason": "age"}, "x.1-0", 7)
    assert text.startswith(b": beat\n: a b\n")
