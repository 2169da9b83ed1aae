"""Text for terminals: nothing steers them, widths are right, colours only where a person looks."""

import io
import logging

import pytest

from messaging.terminal.screen import Paint, StatusLine, columns, counted, cut, safe


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain – ä 日本", "plain – ä 日本"),
        ("two\nlines\r\n", "two⏎lines\\r⏎"),
        ("\x1b]0;title\x07\x1b[2J", "\\x1b]0;title\\x07\\x1b[2J"),
        ("\x9b31m", "\\x9b31m"),  # the same in one character
        ("a\u202eb\u2066c", "a\\u202eb\\u2066c"),  # would be read from right to left
        ("\ud800", "\\ud800"),
    ],
)
def test_what_would_steer_a_terminal_is_made_visible(text: str, shown: str) -> None:
    assert safe(text) == shown


def test_columns_of_wide_and_combining_signs() -> None:
    assert [columns(text) for text in ("abc", "日本", "e\u0301", "👍")] == [3, 4, 1, 2]


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("日本語", 5, "日本…"), ("日本語", 4, "日…"), ("abc", 0, "")],
)
def test_cut_counts_columns(text: str, most: int, shown: str) -> None:
    assert cut(text, most) == shown


@pytest.mark.parametrize(
    ("options", "no_color", "tty", "on"),
    [
        ({}, "", True, True),
        ({}, "", False, False),
        ({}, "1", True, False),
        ({"no_color": True}, "", True, False),
        ({"force_color": True}, "1", False, True),
    ],
)
def test_colours_where_they_are_wanted(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, bool], no_color: str, tty: bool, on: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: tty)
    assert Paint.of(stream, options).on is on


def test_a_channel_has_one_colour() -> None:
    paint = Paint(True)
    assert paint.channel("orders", "a") == paint.channel("orders", "a") != paint.channel("payments", "a")
    assert Paint(False).channel("orders", "a") == "a"


def test_log_lines_push_the_status_line_away(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr("messaging.terminal.screen.width", lambda: 20)
    handler = logging.StreamHandler(screen)
    logger = logging.getLogger("tests.status_line")
    logger.addHandler(handler)
    try:
        with StatusLine(screen.write, shown=True) as status:
            status.show("a line that is longer than the terminal")
            logger.warning("news")
            status.show("again")
        assert not handler.filters
    finally:
        logger.removeHandler(handler)
    clear = "\r\x1b[2K"
    assert screen.getvalue() == f"{clear}a line that is lon…{clear}news\n{clear}again{clear}"


def test_counted() -> None:
    assert [counted(0, "line"), counted(1, "line"), counted(2000, "entry", "entries")] == [
        "0 lines",
        "1 line",
        "2,000 entries",
    ]
