"""Values and rows -> aligned text."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def number(value: float | None, unit: str) -> str:
    """``1234.5, "ms"`` -> ``1,234 ms``; three digits that count."""
    if value is None:
        return "-"
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}".strip()


def lines(rows: Sequence[Sequence[str]], *, left: Collection[int]) -> list[str]:
    """The first row is the head. Columns stand to the right, those of ``left`` to the left."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [rows[0], ["-" * width for width in widths], *rows[1:]]
    ]
