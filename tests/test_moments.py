"""What ``tail --since`` takes, and what a position says of its time."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from messaging.log import START, Position
from messaging.terminal.moments import clock, position_of, time_of

NOW = datetime(2025, 11, 21, 17, 30, tzinfo=UTC)
LAST_SEQ = 2**64 - 1


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("90s", timedelta(seconds=90)),
        ("10m", timedelta(minutes=10)),
        ("1h30m", timedelta(hours=1.5)),
        ("1.5d", timedelta(days=1.5)),
        ("2w", timedelta(weeks=2)),
    ],
)
def test_an_age(text: str, age: timedelta) -> None:
    assert position_of(text, now=NOW) == Position(ms(NOW - age) - 1, LAST_SEQ)


def test_an_age_before_all_time_is_the_start() -> None:
    assert position_of("99999999w", now=NOW) == START
    assert position_of("9000w", now=NOW) == START


def test_the_first_entry_of_the_moment_is_behind_the_position() -> None:
    assert position_of("2025-11-21T17:30:00Z", now=NOW) < Position(ms(NOW), 0)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-11-21T17:00:00Z", datetime(2025, 11, 21, 17, tzinfo=UTC)),
        ("2025-11-21T17:00:00+01:00", datetime(2025, 11, 21, 16, tzinfo=UTC)),
        ("2025-11-21 17:00", datetime(2025, 11, 21, 16, tzinfo=UTC)),  # in the zone of now
        ("2025-11-21", datetime(2025, 11, 20, 23, tzinfo=UTC)),
    ],
)
def test_an_iso_time(text: str, moment: datetime) -> None:
    now = NOW.astimezone(timezone(timedelta(hours=1)))
    assert position_of(text, now=now).ms == ms(moment) - 1


@pytest.mark.parametrize("text", ["1763765275123-4", "0.1763765275123-4", "3.1763765275123-4"])
def test_a_position_or_a_location(text: str) -> None:
    assert position_of(text, now=NOW) == Position(1763765275123, 4)


@pytest.mark.parametrize("text", ["", "yesterday", "10", "10x", "-5m", "1-", "1.2.3-4", "5m ago"])
def test_anything_else_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="neither an age"):
        position_of(text, now=NOW)


def test_the_time_of_a_position_is_in_the_local_zone() -> None:
    position = Position(ms(NOW), 7)
    assert time_of(position) == NOW
    assert clock(position) == f"{NOW.astimezone():%Y-%m-%d %H:%M:%S}"


@pytest.mark.parametrize("beyond", [253402300800000, 2**63 - 1, 2**64 - 1])
def test_a_position_that_no_calendar_holds_stands_for_itself(beyond: int) -> None:
    position = Position(beyond, 0)
    assert time_of(position) is None
    assert clock(position) == f"{beyond}-0"
