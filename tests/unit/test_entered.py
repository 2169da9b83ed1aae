"""What a person types -> JSON or text, and where it breaks."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging.entered import NotJson, data_of, json_of, looks_like_json, tokens


def sent(text: str, kind: str = "auto") -> bytes | str:
    found = data_of(text, kind)  # type: ignore[arg-type]
    return found if isinstance(found, str) else bytes(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1}', b'{"a":1}'),
        (' [1,\n 2.50, "x  y"] ', b'[1,2.50,"x  y"]'),
        ("42", b"42"),
        ("-0.0e-5", b"-0.0e-5"),
        ("true", b"true"),
        ('"quoted"', b'"quoted"'),
        ("[1e400]", b"[1e400]"),
        ("9" * 5000, b"9" * 5000),
        ('{"a":1,"a":2}', b'{"a":1,"a":2}'),
        ('["\\ud800\\u0000"]', b'["\\ud800\\u0000"]'),
        ('\ufeff{"bom": 1}', b'{"bom":1}'),
        ("hello world", "hello world"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("007", "007"),
        ("-", "-"),
        ("", ""),
        ('"unclosed', '"unclosed'),
    ],
)
def test_detected(text: str, expected: bytes | str) -> None:
    assert sent(text) == expected


@given(st.text())
def test_as_text_nothing_is_changed(text: str) -> None:
    assert sent(text, "text") == text


@settings(max_examples=50)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_says_the_same_when_sent(value: object) -> None:
    assert json.loads(bytes(json_of(json.dumps(value, indent=2)))) == value


@given(st.text(alphabet='{}[]",:0123456789.eE+-truefalsn\\ \n\tN'))
def test_it_takes_exactly_what_is_json(text: str) -> None:
    try:
        expected = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError):
        with pytest.raises(NotJson):
            json_of(text)
    else:
        assert msgspec.json.decode(bytes(json_of(text))) == expected


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('{"a": 1,\n "b": [1,,2]}', 2, 10),
        ("[tru]", 1, 2),
        ('{"a": NaN}', 1, 7),
        ("[1, -Infinity]", 1, 6),
        ('{"a": 1} x', 1, 10),
        ("[01]", 1, 3),
        ("{'a': 1}", 1, 2),
        ('{"a\n": 1}', 1, 4),
        ("[" * 501 + "]" * 501, 1, 501),
        ("{", 1, 2),
    ],
)
@pytest.mark.parametrize("kind", ["auto", "json"])
def test_where_it_breaks(text: str, kind: str, line: int, column: int) -> None:
    with pytest.raises(NotJson) as caught:
        sent(text, kind)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert f"at line {line}, column {column}" in str(caught.value)


def test_any_depth_is_an_error_and_no_crash() -> None:
    for text in ("[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000):
        with pytest.raises(NotJson, match="500 levels"):
            data_of(text)


def test_looks_like_json() -> None:
    assert looks_like_json(' \n{"a"')
    assert looks_like_json("[")
    assert not looks_like_json("")
    assert not looks_like_json("text {")


def test_tokens_know_their_place() -> None:
    assert tokens('{"a" : -1.5e3 , "b\\"": [true]}') == [
        (0, "{"), (1, '"a"'), (5, ":"), (7, "-1.5e3"), (14, ","), (16, '"b\\""'), (21, ":"), (23, "["), (24, "true"),
        (28, "]"), (29, "}"),
    ]  # fmt: skip
