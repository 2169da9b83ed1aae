"""Figures of each -> a table for people, and below it what they ran with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.tasks.bounds import BOUNDS, verdict
from benchmarks.tasks.contest import Contest

Figures = Mapping[str, float | None]


def table(figures: Mapping[str, Figures]) -> str:
    """One line a figure; the first column has the bounds."""
    names = list(figures)
    ours = figures[names[0]]
    rows = [("figure", *names, "bound", "ok")]
    for name, bound in BOUNDS.items():
        values = [_number(figures[each].get(name), bound.unit) for each in names]
        rows.append((bound.says, *values, str(bound), verdict(name, ours.get(name))))
    return "\n".join(_lines(rows))


def notes(contest: Contest, versions: Mapping[str, str]) -> str:
    """What each ran with, which other settings were slower, who failed."""
    lines = []
    for name in contest.figures:
        chosen = contest.chosen[name].says
        others = [f"{says}: {rate:,}/s" for says, rate in contest.tried[name].items() if says != chosen]
        lines.append(f"{name} {versions.get(name, '')}".rstrip() + f": {chosen}. {contest.notes[name]}")
        if others:
            lines.append(f"    tried and slower: {'; '.join(others)}")
    return "\n".join([*lines, *contest.wrong])


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"


def _lines(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    last = len(widths) - 1
    return [
        "  ".join(
            cell.ljust(width) if at in (0, last) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [rows[0], ["-" * width for width in widths], *rows[1:]]
    ]
