"""Data -> payload and back: what is taken, what is refused at the door, and that the refusal names the value."""

import dataclasses
import enum
import json
import math
from collections import OrderedDict, defaultdict, deque, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest
from django.contrib.auth.models import Permission, User
from django.utils.functional import lazy, lazystr
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

from messaging.errors import Unencodable
from messaging.payload import BINARY, JSON, MAX_DEPTH, TEXT, encode_data, is_too_deep, parse_json


class Colour(enum.Enum):
    RED = "red"
    NAN = math.nan
    PAIR = (1, 2)


class Level(enum.IntEnum):
    HIGH = 3


class Kind(enum.StrEnum):
    NEW = "new"


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Real(float):
    pass


class Moment(datetime):
    """As freezegun and time-machine make them."""


@dataclasses.dataclass
class Order:
    id: int
    total: Any = None
    tax: ClassVar[float] = math.nan


@dataclasses.dataclass
class Later:
    id: int
    total: float = dataclasses.field(init=False)


class Struct(msgspec.Struct):
    x: Any = None


Point = namedtuple("Point", "x y")

WHEN = datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC)


@pytest.mark.parametrize(
    ("data", "payload"),
    [
        (None, b"null"),
        (True, b"true"),
        (0, b"0"),
        (-1.5, b"-1.5"),
        (2**70, b"1180591620717411303424"),
        ([], b"[]"),
        ({}, b"{}"),
        ((1, (2,)), b"[1,[2]]"),
        ({"a": [None, {"b": "ü"}]}, '{"a":[null,{"b":"ü"}]}'.encode()),
        ({1: "a", 2.5: "b"}, b'{"1":"a","2.5":"b"}'),
        ({UUID(int=1): 1, date(2026, 1, 2): 2, Kind.NEW: 3}, None),
        ({Text("a"): Text("b")}, b'{"a":"b"}'),
        ({"nested": mark_safe("<b>")}, b'{"nested":"<b>"}'),
        ([gettext_lazy("yes")], b'["yes"]'),
        (Number(5), b"5"),
        (Real(1.5), b"1.5"),
        (OrderedDict(a=1), b'{"a":1}'),
        (defaultdict(list, a=[1]), b'{"a":[1]}'),
        (Point(1, 2), b"[1,2]"),
        (WHEN, b'"2026-01-02T03:04:05.000600Z"'),
        (WHEN.replace(tzinfo=None), b'"2026-01-02T03:04:05.000600"'),
        (Moment(2026, 1, 2, tzinfo=UTC), b'"2026-01-02T00:00:00+00:00"'),
        (date(2026, 1, 2), b'"2026-01-02"'),
        (time(1, 2), b'"01:02:00"'),
        (timedelta(days=1), b'"P1D"'),
        (Decimal("1.10"), b'"1.10"'),
        (Decimal("NaN"), b'"NaN"'),  # as Django's encoder writes a Decimal: as text
        (UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
        (Colour.RED, b'"red"'),
        (Colour.PAIR, b"[1,2]"),
        (Level.HIGH, b"3"),
        ({3}, b"[3]"),
        (frozenset(), b"[]"),
        (Order(1, Decimal("2.50")), b'{"id":1,"total":"2.50"}'),
        (Order(1), b'{"id":1,"total":null}'),
        (Later(1), b'{"id":1}'),
        (Struct([1]), b'{"x":[1]}'),
        ({"bytes": b"\x00\xff"}, b'{"bytes":"AP8="}'),
        (msgspec.Raw(b'{"a":1, "a":2}'), b'{"a":1, "a":2}'),
    ],
)
def test_what_json_can_say_travels_as_json(data: Any, payload: bytes | None) -> None:
    encoded, content_type, binary = encode_data(data)
    assert (content_type, binary) == (JSON, False)
    assert payload is None or encoded == payload
    json.loads(encoded)


@pytest.mark.parametrize(
    "text", ["", "hello", "ünï 🎉", "\x00", '"', Text("x"), mark_safe("<b>"), lazystr("lazy"), Kind.NEW]
)
def test_a_text_travels_as_a_json_string_marked_as_text(text: Any) -> None:
    payload, content_type, binary = encode_data(text)
    assert (content_type, binary) == (TEXT, False)
    assert parse_json(payload) == str(text)


@pytest.mark.parametrize("data", [b"", b"\x00\xff", bytearray(b"ab"), memoryview(b"ab")])
def test_bytes_travel_as_they_are(data: Any) -> None:
    assert encode_data(data) == (bytes(data), BINARY, True)


def nested(depth: int) -> Any:
    data: Any = 1
    for _ in range(depth):
        data = [data]
    return data


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (math.nan, "nan is not a JSON number"),
        (-math.inf, "-inf is not a JSON number"),
        ([{"a": (1, math.inf)}], "inf is not a JSON number"),
        (Real("nan"), "nan is not a JSON number"),
        (Order(1, math.nan), "nan is not a JSON number"),
        (Struct([Struct(math.nan)]), "nan is not a JSON number"),
        ([Colour.NAN], "nan is not a JSON number"),
        ({"a": {1, math.inf}}, "inf is not a JSON number"),
        ("\ud800", "surrogates not allowed"),
        ({"a": ["\udfff"]}, "surrogates not allowed"),
        ({"\ud800": 1}, "surrogates not allowed"),
        ({None: 1}, "{None: 1}"),
        ({(1, 2): 1}, "{(1, 2): 1}"),
        (object(), "<object object at"),
        ([deque()], "[deque([])]"),
        (MappingProxyType({}), "mappingproxy({})"),
        ((n for n in range(3)), "<generator object"),
        ([10**5000], "repr failed with ValueError"),
        (nested(100_000), "nested too deeply: list"),
        (nested(MAX_DEPTH + 1), "nested more than 500 levels deep: list"),
        (Order, "test_payload.Order"),
        (1 + 2j, "(1+2j)"),
        (msgspec.Raw(b"{"), "b'{'"),
        (msgspec.Raw(b'1},"x":{'), "trailing characters"),
        (msgspec.Raw(b'"\xed\xa0\x80"'), "can't decode byte 0xed"),
        (msgspec.Raw(b'{"a":"x\\ud83d"}'), "ud83d"),  # half of a pair: valid JSON, but no text
        (lambda: None, "<function"),
        (User(username="ann"), "<User: ann>"),
    ],
)
def test_what_has_no_json_form_is_refused_with_the_value(data: Any, said: str) -> None:
    with pytest.raises(Unencodable) as caught:
        encode_data(data)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.django_db
def test_a_queryset_is_refused_with_a_word_about_it() -> None:
    with pytest.raises(Unencodable, match="QuerySet is not JSON serializable"):
        encode_data({"found": Permission.objects.none()})


def test_an_object_that_fails_when_it_is_asked_is_refused() -> None:
    def translate() -> str:
        raise KeyError("no language")

    for data in (lazy(translate, str)(), [lazy(translate, str)()]):
        with pytest.raises(Unencodable, match="no language"):
            encode_data(data)


def test_500_levels_are_taken_and_brackets_in_strings_do_not_count() -> None:
    assert parse_json(encode_data(nested(MAX_DEPTH))[0]) == nested(MAX_DEPTH)
    encode_data({"text": "[" * 10_000, "quoted": '"[' * 1000, "wide": [[1]] * 1000})
    assert not is_too_deep(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    assert is_too_deep(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e400", math.inf), (r'"\ud800"', "\ud800"), ("1" * 4000, int("1" * 4000)), (' {"a" : 1} ', {"a": 1})],
)
def test_json_that_others_write_is_read(text: str, value: Any) -> None:
    assert parse_json(text) == value


@pytest.mark.parametrize("text", ["1" * 5000, "[" * 100_000 + "]" * 100_000, "{", ""])
def test_json_that_python_cannot_hold_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (of several kinds)
        parse_json(text)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)


@given(json_values)
def test_any_json_value_comes_back_as_it_was(value: Any) -> None:
    assert parse_json(encode_data(value)[0]) == value


@given(
    st.recursive(
        st.none()
        | st.integers()
        | st.floats()
        | st.text()
        | st.binary()
        | st.decimals()
        | st.datetimes()
        | st.datetimes(timezones=st.just(timezone(timedelta(hours=5))))
        | st.uuids()
        | st.just(object())
        | st.complex_numbers(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.text() | st.integers() | st.floats(), inner)
            | st.frozensets(st.integers() | st.floats())
            | inner.map(Struct)
            | inner.map(lambda data: Order(1, data))
        ),
    )
)
def test_whatever_is_given_is_encoded_as_strict_json_or_refused(data: Any) -> None:
    try:
        payload, _, binary = encode_data(data)
    except Unencodable:
        return
    if not binary:
        payload.decode()
        json.loads(payload, parse_constant=lambda word: pytest.fail(f"{word} in {payload!r}"))
