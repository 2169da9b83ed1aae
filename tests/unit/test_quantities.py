"""Numbers in words."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from messaging.quantities import clock, moment, size, span


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1536, "1.5 KiB"),
        (200_000, "195 KiB"),
        (2 * 1024 * 1024, "2.0 MiB"),
    ],
)
def test_sizes(count: int, words: str) -> None:
    assert size(count) == words


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (0, "0 ms"),
        (-0.3, "0 ms"),
        (999, "999 ms"),
        (-40, "−40 ms"),
        (1500, "1.5 s"),
        (61_000, "61 s"),
        (240_000, "4 min"),
        (7_200_000, "2 h"),
        (3 * 86_400_000, "3 d"),
        (-5_000 * 86_400_000, "−5,000 d"),
    ],
)
def test_spans(milliseconds: float, words: str) -> None:
    assert span(milliseconds) == words


def test_moments() -> None:
    time = datetime(2026, 1, 31, 14, 3, 22, 125999, tzinfo=UTC)
    assert moment(time) == "2026-01-31 14:03:22.125 UTC"
    assert clock(time, now=time) == "14:03:22.125"
    assert clock(time, now=time + timedelta(days=1)) == "2026-01-31 14:03:22.125"
    with timezone.override("Europe/Berlin"):
        assert moment(time) == "2026-01-31 15:03:22.125 CET"
