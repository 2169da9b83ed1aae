"""Redis globs, and that they cost little (tests/integration/test_patterns.py compares them with the server's)."""

import time

import pytest

from messaging.patterns import compiled, is_pattern, matches, matches_any


@pytest.mark.parametrize(
    ("pattern", "channel", "expected"),
    [
        ("orders.*", "orders.created", True),
        ("orders.*", "orders.", True),
        ("orders.*", "Orders.created", False),
        ("*", "", False),
        ("", "", True),
        ("", "a", False),
        ("h?llo", "hallo", True),
        ("h?llo", "hllo", False),
        ("h[ae]llo", "hello", True),
        ("h[^e]llo", "hello", False),
        ("h[a-e]llo", "hcllo", True),
        ("h[e-a]llo", "hcllo", True),
        (r"h\*llo", "h*llo", True),
        (r"h\*llo", "hallo", False),
        ("a[", "a[", False),
        ("a[b", "ab", True),
        ("[]", "]", False),
        ("[^]", "x", True),
        ("a\\", "a\\", True),
        ("*\n*", "a\nb", True),
        ("?", "é", False),  # two bytes
        ("??", "é", True),
        ("*é*", "café au lait", True),
    ],
)
def test_a_glob_matches_as_in_redis(pattern: str, channel: str, expected: bool) -> None:
    assert matches(pattern, channel) is expected


def test_any_of_several_patterns_will_do() -> None:
    assert matches_any(["a.*", "b.*"], "b.c")
    assert not matches_any(["a.*", "b.*"], "c.c")
    assert not matches_any([], "c.c")


def test_only_glob_characters_make_a_pattern() -> None:
    assert not is_pattern("orders.created")
    assert not is_pattern("a]")
    assert all(is_pattern(text) for text in ("*", "a?", "[ab]", "a\\*"))


def test_a_pattern_of_many_stars_is_decided_quickly() -> None:
    began = time.perf_counter()
    assert not matches("*a" * 50 + "b", "a" * 10_000)
    assert time.perf_counter() - began < 5  # backtracking would take for ever


def test_text_that_no_encoding_takes_matches_nothing_but_stars() -> None:
    assert matches("*", "\ud800")
    assert not matches("a", "\ud800")
    assert not matches("\ud800", "a")


def test_an_expression_grows_with_its_glob_and_not_with_what_that_matches() -> None:
    for glob in ("[^]" * 80, "[^a]" * 60, "[a-z]" * 50, "[ -~]" * 50):
        assert len(compiled(glob).pattern) <= 6 * len(glob)
