"""Figures of each server -> a table for people."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.columns import lines, number
from benchmarks.live.bounds import BOUNDS
from benchmarks.live.figures import Figures

MORE = {
    "steady_p50": ("... and p50", "ms"),
    "burst_seconds": ("... and the last had them after", "s"),
    "held_kib": ("memory of each of the 4,000 streams more", "KiB"),
    "held_cpu_percent": ("CPU that 5,000 idle streams take, heartbeats included", "%"),
}


def verdict(name: str, value: float | None) -> str:
    if value is None:
        return "not measured"
    return "ok" if BOUNDS[name].holds(value) else "MISSED"


def table(figures: Mapping[str, Figures]) -> str:
    """One line a figure; the first server is the one that has bounds."""
    servers = list(figures)
    ours = figures[servers[0]]
    rows = [("figure", *servers, "bound", "ok")]
    for name in [*BOUNDS, *MORE]:
        says, unit = (BOUNDS[name].says, BOUNDS[name].unit) if name in BOUNDS else MORE[name]
        values = [number(figures[server].get(name), unit) for server in servers]
        bound = (str(BOUNDS[name]), verdict(name, ours.get(name))) if name in BOUNDS else ("", "")
        rows.append((says, *values, *bound))
    return "\n".join(lines(rows, left=(0, len(rows[0]) - 1)))
