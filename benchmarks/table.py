"""Results -> a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.bounds import BOUNDS
from benchmarks.result import Result

HEAD = ("figure", "measured", "raw", "ratio", "bound", "ok")


def table(results: Sequence[Result]) -> str:
    """One line a figure, under each what is compared."""
    rows = [_cells(result) for result in results]
    widths = [max(len(row[at]) for row in (HEAD, *rows)) for at in range(len(HEAD))]
    lines = [_line(HEAD, widths), _line(["-" * width for width in widths], widths)]
    for result, row in zip(results, rows, strict=True):
        lines.append(_line(row, widths))
        lines += [f"    {text}" for text in (BOUNDS[result.figure].compares, result.note) if text]
    return "\n".join(lines)


def _cells(result: Result) -> tuple[str, ...]:
    return (
        result.figure,
        _number(result.ours, result.unit),
        _number(result.plain, result.unit),
        "-" if result.ratio is None else f"{result.ratio:.2f}",
        str(BOUNDS[result.figure]),
        result.verdict,
    )


def _number(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    words = [
        cell.ljust(width) if at in (0, 5) else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(words).rstrip()
