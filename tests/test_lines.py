"""One entry in its three forms: for people, for programs, as bytes."""

import json
from datetime import UTC, datetime

import msgspec
import pytest

from messaging.event import encode, new_event
from messaging.log import Entry, Position
from messaging.terminal import lines
from messaging.terminal.lines import PersonsLines
from messaging.terminal.screen import Paint, columns

AT = Position(1763765275123, 0)
TIME = datetime(2025, 11, 21, 22, 47, 55, tzinfo=UTC)


def entry(data: object, *, position: Position = AT, **attributes: object) -> Entry:
    channel = str(attributes.pop("channel", "orders.created"))
    event = new_event(channel, data, source="/tests", id="1", time=TIME, **attributes)  # type: ignore[arg-type]
    return Entry(0, position, encode(event), ())


UNREADABLE = Entry(0, AT, None, (b"foo", b"\xff\x1b[2J"))


def line(
    each: Entry, *, width: int = 80, whole: bool = False, full: bool = False, colours: bool = False
) -> str:
    persons = PersonsLines(Paint(colours), width=lambda: width, whole=whole, full=full)
    return persons.line(lines.read(each)).split("\n", 1)[1]  # behind the line that says the day


# -- for programs


def test_json_has_the_envelope_and_the_data_as_published() -> None:
    data = msgspec.Raw(b'{"n": 1e400, "n": 2,\n "s": "\\u00e9"}')
    text = lines.as_json(lines.read(entry(data, type="order.v2", key="7", headers={"tenant": "acme"})))
    assert text == (
        b'{"at":"0.1763765275123-0","channel":"orders.created","type":"order.v2","time":"2025-11-21T22:47:55.000000Z",'
        b'"id":"1","source":"/tests","key":"7","headers":{"tenant":"acme"},'
        b'"data":{"n": 1e400, "n": 2,  "s": "\\u00e9"}}\n'
    )


@pytest.mark.parametrize("data", ["text\n", {"a": None}, [1, 2.5, True], None, "\u2028"])
def test_json_is_one_object_a_line(data: object) -> None:
    text = lines.as_json(lines.read(entry(data)))
    assert text.count(b"\n") == 1
    assert json.loads(text)["data"] == data


def test_json_of_bytes_and_of_the_unreadable() -> None:
    assert json.loads(lines.as_json(lines.read(entry(b"\xff"))))["data_base64"] == "/w=="
    shown = json.loads(lines.as_json(lines.read(UNREADABLE)))
    assert shown["at"] == "0.1763765275123-0"
    assert "no field 'e'" in shown["error"]
    assert shown["data_base64"] == "Zm9vIP8bWzJK"


@pytest.mark.parametrize(
    ("data", "raw"),
    [("tea ä\x00", "tea ä\x00".encode()), (b"\xff\x00", b"\xff\x00"), ({"a": 1}, b'{"a":1}'), (5, b"5")],
)
def test_raw_is_what_was_published(data: object, raw: bytes) -> None:
    assert lines.as_raw(lines.read(entry(data))) == raw + b"\n"


# -- for people


def test_a_line_has_time_channel_type_and_payload() -> None:
    shown = line(entry({"id": 1}, type="order.v2"))
    assert shown == '22:47:55.123 orders.created  order.v2  {"id":1}\n'


def test_the_type_is_left_out_where_it_says_nothing_new() -> None:
    assert line(entry("tea")) == "22:47:55.123 orders.created  tea\n"


@pytest.mark.parametrize("data", ["x" * 500, "日" * 500, b"\xff" * 500, {"a": ["x"] * 200}])
def test_a_line_fits_the_terminal(data: object) -> None:
    shown = line(entry(data), width=60).rstrip("\n")
    assert columns(shown) <= 60
    assert shown.endswith("…")
    assert not line(entry(data), whole=True).endswith("…\n")


def test_nothing_in_a_message_steers_the_terminal() -> None:
    evil = "\x1b[2J\n\x07"
    for each in (entry(evil), entry({"a": "\x9b2J"}), entry(b"\xff\x1b[2J"), UNREADABLE):
        for full in (False, True):
            shown = line(each, full=full).replace("\n", "")
            assert shown.isprintable(), shown


def test_columns_line_up() -> None:
    persons = PersonsLines(Paint(False), width=lambda: 80, whole=False, full=False)
    persons.line(lines.read(entry(1, channel="a.longer.name")))
    assert persons.line(lines.read(entry(1, channel="short"))) == "22:47:55.123 short          1\n"


def test_a_new_day_is_said_once() -> None:
    persons = PersonsLines(Paint(False), width=lambda: 80, whole=False, full=False)
    today, same, tomorrow = AT, AT, Position(AT.ms + 86_400_000, 0)
    texts = [persons.line(lines.read(entry(1, position=each))) for each in (today, same, tomorrow)]
    assert [text.count("──") for text in texts] == [2, 0, 2]
    assert texts[2].startswith("── Saturday, 2025-11-22 ──\n")


def test_full_spreads_attributes_and_json() -> None:
    shown = line(entry({"a": [1]}, key="7", headers={"tenant": "acme"}), full=True)
    assert "    key            7\n" in shown
    assert "    tenant         acme\n" in shown
    assert '    {\n      "a": [\n' in shown


def test_a_position_beyond_the_calendar_is_shown_all_the_same() -> None:
    far = entry(1, position=Position(2**64 - 1, 0))
    assert "orders.created" in line(far)


def test_colours() -> None:
    assert "\x1b[2m22:47:55.123\x1b[0m" in line(entry("tea"), colours=True)
