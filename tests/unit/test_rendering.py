"""Payloads for eyes: laid out without being parsed, whatever they are."""

import json
import time
from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging import rendering
from messaging.rendering import decoded, hexdump, is_cut, laid_out, pretty, preview, raw, readable, visible

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


def base64(data: bytes) -> str:
    return b64encode(data).decode()


def test_json_is_indented_and_empty_containers_stay_on_their_line() -> None:
    text = '{"a":{},"b":[1,{"c":null}],"d":[]}'
    assert pretty(text, False) == (
        '{\n  "a": {},\n  "b": [\n    1,\n    {\n      "c": null\n    }\n  ],\n  "d": []\n}'
    )


@settings(max_examples=50)
@given(JSON_VALUES)
def test_what_is_laid_out_is_still_the_same_json(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False), json.dumps(value, indent=3)):
        shown = pretty(text, False)
        assert json.loads(shown) == value
        assert [kind for kind, _ in laid_out(text)].count("more") == 0


def test_numbers_doubled_keys_and_escapes_that_cannot_be_shown_stay_as_they_are() -> None:
    text = r'{"n":1.50,"big":' + "9" * 5000 + r',"inf":1e400,"n":"\u0000\ud800\u202e\u00e9\\u00e9"}'
    shown = pretty(text, False)
    assert "1.50" in shown
    assert "9" * 5000 in shown
    assert "1e400" in shown
    assert shown.count('"n"') == 2
    assert r'"\u0000\ud800\u202eé\\u00e9"' in shown


def test_signs_that_change_the_reading_direction_are_shown_as_escapes() -> None:
    assert pretty('"a\u202egnp.exe"', False) == '"a\\u202egnp.exe"'
    assert (
        visible("bell\x07, tab\t, \u2066, family 👨\u200d👩\u200d👧")
        == "bell\\x07, tab\t, \\u2066, family 👨\u200d👩\u200d👧"
    )
    assert readable('"\\ud83d\\ude00\\u0022"') == '"😀\\""'


def test_a_text_message_is_its_text() -> None:
    assert pretty('"one\\ntwo\\u0007"', False, content_type="text/plain") == "one\ntwo\\x07"
    assert pretty('"\\ud800"', False, content_type="text/plain") == "\\ud800"
    assert pretty("12", False, content_type="text/plain") == "12"


@pytest.mark.parametrize("text", ["", "{", '{"a":', "[1,2", "}", "[}", "no json", '"', "\\", "[1]]"])
def test_what_is_not_json_is_shown_as_it_is(text: str) -> None:
    assert pretty(text, False) == text


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 50_000 + "1" + "}" * 50_000,
        "[" + "1," * 150_000 + "1]",
        '"' + "x" * 5_000_000 + '"',
        '"' + "\\" * 1_000_001,
        '"' * 100_001,
        "[" * 64 + "0," * 200_000 + "0" + "]" * 64,
    ],
)
def test_any_size_and_depth_within_bounds(text: str) -> None:
    began = time.monotonic()
    for content_type in ("application/json", "text/plain"):
        assert len(pretty(text, False, content_type=content_type)) < 5 * rendering.SHOWN
        assert len(preview(text, False, content_type=content_type)) <= 120
    assert time.monotonic() - began < 30  # what grows with the square of the size takes minutes


def test_a_cut_is_marked() -> None:
    long = json.dumps(["x" * 100] * 5000)
    assert is_cut(long, False)
    assert laid_out(long)[-1] == ("more", "…")
    assert pretty(json.dumps("y" * 300_000), False, content_type="text/plain").endswith("y…")
    assert raw(long, False) == long[: rendering.SHOWN]
    assert not is_cut("[1]", False)


def test_bytes() -> None:
    data = bytes(range(40))
    assert hexdump(data).splitlines() == [
        "00000000  00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f  |................|",
        "00000010  10 11 12 13 14 15 16 17  18 19 1a 1b 1c 1d 1e 1f  |................|",
        "00000020  20 21 22 23 24 25 26 27                           | !\"#$%&'|",
    ]
    assert hexdump(b"") == "(no bytes)"
    assert hexdump(b"x" * 100, limit=16).endswith("… 84 more bytes")
    assert pretty(base64(b"hi"), True).startswith("00000000  68 69")
    assert raw(base64(b"ok \xff\x00\n"), True) == "ok \\xff\\x00\n"
    assert decoded("é\u202e".encode()) == "é\\u202e"
    assert is_cut(base64(b"x" * 20_000), True)


def test_base64_that_is_none_is_shown_all_the_same() -> None:
    assert pretty("not base64!", True).startswith("00000000")
    assert preview("é", True)


def test_a_preview_is_one_line() -> None:
    assert preview('{"a" : [1,\n  2, {"b":"c  d"}]}', False) == '{"a": [1, 2, {"b": "c  d"}]}'
    assert preview('"one\\n\\ttwo"', False, content_type="text/plain") == "one two"
    assert preview('"caf\\u00', False, content_type="text/plain") == "caf"
    assert preview('"caf\\u00e9 \\', False, content_type="text/plain") == "café"
    assert preview(base64(b"\x00\xffhi"), True) == "00 ff 68 69"
    assert len(preview("[" + "1," * 1000, False)) == 120
