"""Figures of each -> a table for people, and below it what they ran with."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.columns import lines, number
from benchmarks.tasks.bounds import BOUNDS, verdict
from benchmarks.tasks.contest import Contest

Figures = Mapping[str, float | None]


def table(figures: Mapping[str, Figures]) -> str:
    """One line a figure; the first column has the bounds."""
    names = list(figures)
    ours = figures[names[0]]
    rows = [("figure", *names, "bound", "ok")]
    for name, bound in BOUNDS.items():
        values = [number(figures[each].get(name), bound.unit) for each in names]
        rows.append((bound.says, *values, str(bound), verdict(name, ours.get(name))))
    return "\n".join(lines(rows, left=(0, len(rows[0]) - 1)))


def notes(contest: Contest, versions: Mapping[str, str]) -> str:
    """What each ran with, which other settings were slower, who failed."""
    said = []
    for name in contest.figures:
        chosen = contest.chosen[name].says
        tried = dict(contest.tried[name])  # in shorter runs
        fastest = tried.pop(chosen, 0)
        others = [f"{says}: {rate:,}/s" for says, rate in tried.items()]
        said.append(f"{name} {versions.get(name, '')}".rstrip() + f": {chosen}. {contest.notes[name]}")
        if others:
            said.append(f"    tried in short, {fastest:,}/s; slower: {'; '.join(others)}")
    return "\n".join([*said, *contest.wrong])
