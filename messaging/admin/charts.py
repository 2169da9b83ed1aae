"""Minutes or hours of a queue -> lines in small drawings: waits, runs, rates, depth. No script: spans have titles."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from django.utils import dateformat, timezone
from django.utils.translation import gettext as _

from messaging.quantities import span
from messaging.taskqueue.quantities import Period, quantile, together
from messaging.taskqueue.standing import ended, entered

HOURS = (1, 6, 24, 168)
DAY, HOUR_MS = 24, 3600 * 1000
POINTS = 60
WIDTH, HEIGHT = 480, 150
LEFT, RIGHT, TOP, BOTTOM = 52, 6, 8, 20

Values = Sequence[float | None]


class Line(NamedTuple):
    """One of a chart: its name, its number in the style sheet, pieces of "x,y x,y", points that stand alone."""

    label: str
    style: int
    latest: str  # the newest value that is known, in words; "" if none is
    pieces: list[str]
    dots: list[tuple[float, float]]


class Chart(NamedTuple):
    """A drawing of WIDTH by HEIGHT."""

    title: str
    note: str
    lines: list[Line]
    ticks: list[tuple[float, str]]  # y, label
    times: list[tuple[float, str]]  # x, label
    spans: list[tuple[float, float, str]]  # x, width, what is in it

    @property
    def empty(self) -> bool:
        return not self.ticks

    @property
    def words(self) -> str:
        """For those who do not see it: its title, and the latest of each line."""
        latest = ", ".join(f"{line.label} {line.latest}" for line in self.lines if line.latest)
        return f"{self.title}: {latest}" if latest else self.title


def charts(periods: Sequence[Period], open_now: int) -> list[Chart]:
    """``open_now``: tasks that wait or run at the end of the last period."""
    size = max(1, len(periods) // POINTS)
    parts = [periods[start : start + size] for start in range(0, len(periods), size)]
    starts = [part[0].at_ms for part in parts]

    def times(name: str, share: float) -> Values:
        return [quantile(together(getattr(each, name) for each in part), share) for part in parts]

    def rate(count: Callable[[Period], int]) -> Values:
        return [sum(map(count, part)) / sum(each.minutes for each in part) for part in parts]

    depth: list[float | None] = []
    left = open_now
    for part in reversed(parts):
        depth.append(max(0, left))
        left -= sum(entered(each) - ended(each) - each.counts["purged"] for each in part)
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    return [
        _chart(
            _("Wait"),
            _("from due to begun, at most"),
            starts,
            {label: times("wait", share) for label, share in shares.items()},
            log=True,
        ),
        _chart(
            _("Run"),
            _("of one attempt, at most"),
            starts,
            {label: times("run", share) for label, share in shares.items()},
            log=True,
        ),
        _chart(
            _("Tasks a minute"),
            "",
            starts,
            {
                _("in"): rate(entered),
                _("succeeded"): rate(lambda each: each.counts["succeeded"]),
                _("dead"): rate(lambda each: each.counts["dead"]),
            },
        ),
        _chart(_("Depth"), _("tasks that wait or run"), starts, {_("open"): depth[::-1]}),
    ]


def _chart(
    title: str, note: str, starts: Sequence[int], series: dict[str, Values], *, log: bool = False
) -> Chart:
    known = [value for values in series.values() for value in values if value is not None]
    if not known or not any(known):
        return Chart(title, note, [], [], [], [])
    words: Callable[[float], str] = span if log else _number
    ticks = _powers(min(known), max(known)) if log else _steps(max(known))
    low, high = ticks[0], ticks[-1]

    def up(value: float) -> float:
        share = (
            math.log(max(value, low) / low) / math.log(high / low) if log else (value - low) / (high - low)
        )
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    step = (WIDTH - LEFT - RIGHT) / max(1, len(starts))
    across = [round(LEFT + step * (place + 0.5), 1) for place in range(len(starts))]
    lines = []
    for style, (label, values) in enumerate(series.items()):
        points = [None if value is None else (x, up(value)) for x, value in zip(across, values, strict=True)]
        known_of = [value for value in values if value is not None]
        lines.append(Line(label, style, words(known_of[-1]) if known_of else "", *_pieces(points)))
    long = len(starts) > 1 and starts[-1] - starts[0] > DAY * HOUR_MS
    clocks = [_clock(ms, "D H:i" if long else "H:i") for ms in starts]
    spans = [
        (
            round(x - step / 2, 1),
            round(step, 2),
            f"{clocks[place]}  " + ", ".join(f"{label} {words(v)}" for label, v in _there(series, place)),
        )
        for place, x in enumerate(across)
        if _there(series, place)
    ]
    every = max(1, len(starts) // 4)
    return Chart(
        title,
        note,
        lines,
        [(up(tick), words(tick)) for tick in ticks],
        [(across[place], clocks[place]) for place in range(every // 2, len(starts), every)],
        spans,
    )


def _there(series: dict[str, Values], place: int) -> list[tuple[str, float]]:
    found = ((label, values[place]) for label, values in series.items())
    return [(label, value) for label, value in found if value is not None]


def _pieces(points: Sequence[tuple[float, float] | None]) -> tuple[list[str], list[tuple[float, float]]]:
    """Neighbours are joined; where nothing is known the line is broken."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is not None:
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    joined = [" ".join(f"{x},{y}" for x, y in run) for run in runs if len(run) > 1]
    return joined, [run[0] for run in runs if len(run) == 1]


def _powers(least: float, most: float) -> list[float]:
    """Powers of ten around both, in milliseconds; at most six."""
    first = math.floor(math.log10(max(least, 1.0)))
    last = max(first + 1, math.ceil(math.log10(max(most, 1.0))))
    return [10.0**power for power in range(first, last + 1, 1 + (last - first) // 6)] + (
        [10.0 ** (last + 1)] if (last - first) % (1 + (last - first) // 6) else []
    )


def _steps(most: float) -> list[float]:
    """0 and up to four round numbers, the last not below ``most``."""
    rough = most / 3
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= rough)
    return [step * place for place in range(math.ceil(most / step - 1e-9) + 1)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def _clock(ms: int, form: str) -> str:
    return dateformat.format(timezone.localtime(datetime.fromtimestamp(ms / 1000, UTC)), form)
