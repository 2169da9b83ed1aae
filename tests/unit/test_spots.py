"""Places in JSON text: what a pattern names is replaced, everything else stays byte for byte."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging.spots import Spots

PATTERNS = ("user.password", "**.token", "items.*.card", "lines.0", "**.se*ret.**")


def left(text: str, *patterns: str) -> str:
    return Spots([tuple(pattern.split(".")) for pattern in patterns]).replaced(text, '"-"')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"user": {"password" : {"a":[1,"}"]}, "name":"x"}}', '{"user": {"password" : "-", "name":"x"}}'),
        ('{"password":1,"user":[{"password":1}]}', '{"password":1,"user":[{"password":1}]}'),
        ('{"a":[{"b":{"TOKEN":"x"}}],"token":null}', '{"a":[{"b":{"TOKEN":"-"}}],"token":"-"}'),
        ('{"items":[{"card":1},{"card":2}],"card":3}', '{"items":[{"card":"-"},{"card":"-"}],"card":3}'),
        ('{"items":{"a":{"card":[]}}}', '{"items":{"a":{"card":"-"}}}'),
        ('{"lines":[[1,2],3]}', '{"lines":["-",3]}'),
        ('{"lines":{"0":1,"1":2}}', '{"lines":{"0":"-","1":2}}'),
        ('{"x":{"sexret":{"a":1}}}', '{"x":{"sexret":"-"}}'),
        # doubled members, of which a parser would keep the last
        ('{"user":{"password":1},"user":2}', '{"user":{"password":"-"},"user":2}'),
        # another spelling of the same name
        ('{"user":{"pass\\u0077ord":1}}', '{"user":{"pass\\u0077ord":"-"}}'),
        ('{"tok\\u0065n":1,"n":12345678901234567890.10}', '{"tok\\u0065n":"-","n":12345678901234567890.10}'),
        ('"token"', '"token"'),
        ('["token", {}, []]', '["token", {}, []]'),
        ("{}", "{}"),
        # what is not JSON is not shown
        ('{"token":1', '"-"'),
        ('{"token":1}}', '"-"'),
        ('token "', '"-"'),
    ],
)
def test_what_is_named_is_replaced(text: str, expected: str) -> None:
    assert left(text, *PATTERNS) == expected


@pytest.mark.parametrize("pattern", ["a/b", 'a"b', "a\tb", "É", "ß", "a_b-c"])
def test_any_name_is_found_however_it_is_escaped(pattern: str) -> None:
    for ascii_ in (True, False):
        text = json.dumps({"x": {pattern: 1}}, ensure_ascii=ascii_)
        assert json.loads(left(text, f"**.{pattern}")) == {"x": {pattern: "-"}}
    text = '{"x":{"' + "".join(f"\\u{ord(char):04x}" for char in pattern) + '":1}}'
    assert json.loads(left(text, f"x.{pattern}"))["x"][pattern] == "-"
    if "/" in pattern:
        assert '"-"' in left('{"a\\/b":1}', pattern)


VALUES = st.recursive(
    st.none() | st.integers() | st.sampled_from(["secret", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "token", "user"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def expected(value: Any, path: tuple[str, ...]) -> Any:
    """By the values: ``**.token`` and ``user.*.a``."""
    if (path and path[-1] == "token") or (len(path) == 3 and path[0] == "user" and path[2] == "a"):
        return "-"
    if isinstance(value, dict):
        return {name: expected(each, (*path, name)) for name, each in value.items()}
    if isinstance(value, list):
        return [expected(each, (*path, str(at))) for at, each in enumerate(value)]
    return value


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_the_text_says_what_the_values_would(value: Any) -> None:
    assert json.loads(left(json.dumps(value), "**.token", "user.*.a")) == expected(value, ())
