"""Samples of ours and of the plain way -> one row of the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from benchmarks.bounds import BOUNDS


@dataclass(frozen=True, slots=True)
class Result:
    """One figure. ``ours`` and ``plain`` are medians in ``unit``; without a ratio, ``note`` says why."""

    figure: str
    ours: float | None
    plain: float | None
    unit: str
    ratio: float | None
    note: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        if self.ratio is None:
            return "not measured"
        if BOUNDS[self.figure].limit is None:
            return "no bound"
        return "ok" if BOUNDS[self.figure].holds(self.ratio) else "MISSED"

    def as_json(self) -> dict[str, Any]:
        bound = BOUNDS[self.figure]
        return asdict(self) | {"compares": bound.compares, "bound": str(bound), "verdict": self.verdict}


def not_measured(figure: str, why: str) -> Result:
    """A row that says so: a figure that was not measured is no pass."""
    return Result(figure, None, None, "", None, note=f"not measured: {why}")


def alternate(
    ours: Callable[[], float], plain: Callable[[], float], *, rounds: int
) -> tuple[list[float], list[float]]:
    """Samples of both, taken in turns (plain, ours, ours, plain, ...), so that neither gets the quieter moments."""
    samples: dict[Callable[[], float], list[float]] = {ours: [], plain: []}
    for number in range(rounds):
        for each in (plain, ours) if number % 2 else (ours, plain):
            samples[each].append(each())
    return samples[ours], samples[plain]


def ratio_of(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of the ratios of neighbours: what slows both at a moment cancels out."""
    return median(each / other for each, other in zip(over, under, strict=True))
