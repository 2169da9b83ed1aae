"""The text of an option -> the number or place that it means, for argparse; options that several commands have."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

from django.utils import timezone

from messaging.log import Position
from messaging.terminal.moments import LAST_NUMBER, position_of


def whole(what: str, *, least: int, most: int | None = None) -> Callable[[str], int]:
    """A function that takes whole numbers, both bounds included; its error says that the text is not ``what``."""

    def number(text: str) -> int:
        if text.isascii() and text.isdecimal() and len(text) < 20:
            found = int(text)
            if found >= least and (most is None or found <= most):
                return found
        raise argparse.ArgumentTypeError(f"not {what}: {text!r}")

    return number


def number(what: str, *, least: float = 0.0, most: float = 1e6) -> Callable[[str], float]:
    """The same of numbers that may have a fraction; NaN is none."""

    def given(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not least <= found <= most:
            raise argparse.ArgumentTypeError(f"not {what} from {least:g} to {most:,.0f}: {text!r}")
        return found

    return given


seconds = number("a number of seconds")


def moment(text: str, *, latest_ms: int = LAST_NUMBER) -> Position:
    """A place in the log, as ``messaging.terminal.moments`` says; what is beyond Redis's stream ids is none."""
    try:
        position = position_of(text, now=timezone.localtime())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if position.ms > latest_ms or position.seq > LAST_NUMBER:
        raise argparse.ArgumentTypeError(f"no log has such a position: {text!r}")
    return position


def add_listing(parser: argparse.ArgumentParser) -> None:
    """``--limit`` and ``--json``, of commands that list."""
    parser.add_argument(
        "--limit",
        type=whole("a whole number from 1", least=1),
        default=50,
        metavar="N",
        help="list so many (default: 50)",
    )
    parser.add_argument("--json", action="store_true", help="list as JSON, one object a line")
