"""Results -> a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.bounds import BOUNDS
from benchmarks.columns import lines, number
from benchmarks.result import Result

HEAD = ("figure", "measured", "raw", "ratio", "bound", "ok")


def table(results: Sequence[Result]) -> str:
    """One line a figure, under each what is compared."""
    head, rule, *rows = lines([HEAD, *(_cells(result) for result in results)], left=(0, len(HEAD) - 1))
    said = [head, rule]
    for result, row in zip(results, rows, strict=True):
        said.append(row)
        said += [f"    {text}" for text in (BOUNDS[result.figure].compares, result.note) if text]
    return "\n".join(said)


def _cells(result: Result) -> tuple[str, ...]:
    return (
        result.figure,
        number(result.ours, result.unit),
        number(result.plain, result.unit),
        "-" if result.ratio is None else f"{result.ratio:.2f}",
        str(BOUNDS[result.figure]),
        result.verdict,
    )
