"""Contenders -> the fastest setting of each, rounds in turns, figures that are medians."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from statistics import median
from typing import Any

from benchmarks.result import ratio_of
from benchmarks.tasks.clocking import Round, clocked
from benchmarks.tasks.contender import Contender, Failed, Ground, Setting

OURS = "this"


@dataclass(frozen=True, slots=True)
class Size:
    """How many rounds at most, tasks in each, and tasks to try each setting with; 0: the first one is taken untried.
    No round begins, after the first, that would not be over within so many seconds."""

    rounds: int
    count: int
    trial: int
    seconds: float


@dataclass(slots=True)
class Contest:
    """``figures`` by contender and name; ``wrong`` says who failed, and how."""

    ground: Ground
    size: Size
    say: Callable[[str], None]
    figures: dict[str, dict[str, float | None]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    chosen: dict[str, Setting] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    tried: dict[str, dict[str, int]] = field(default_factory=dict)  # tasks a second
    rounds: dict[str, list[Round]] = field(default_factory=dict)

    def hold(self, contenders: Sequence[Contender]) -> None:
        """Whatever a peer does, our figures stand; what ours does, ends it all."""
        began, there = time.monotonic(), list(contenders)
        self.notes = {each.name: each.note for each in contenders}
        for each in contenders:
            self._guarded(each, there, lambda each=each: self._choose(each))
        longest = 0.0
        for number in range(self.size.rounds):
            started = time.monotonic()
            if number and started + longest > began + self.size.seconds:
                break
            for each in there[number % len(there) :] + there[: number % len(there)]:
                self._guarded(each, there, lambda each=each, number=number: self._round(each, number))
            longest = max(longest, time.monotonic() - started)
        for each in there:
            self._sum_up(each)
        self._compare([each.name for each in there])

    def as_json(self) -> dict[str, Any]:
        """All that was measured."""
        return {
            name: {
                "setting": self.chosen[name].says,
                "tried": self.tried[name],
                "rounds": [asdict(each) for each in rounds],
            }
            for name, rounds in self.rounds.items()
        }

    # -- steps

    def _guarded(self, contender: Contender, there: list[Contender], step: Callable[[], None]) -> None:
        try:
            step()
        except (Failed, AssertionError) as error:
            if contender.name == OURS:
                raise
            there.remove(contender)
            self.rounds.pop(contender.name, None)
            self.wrong.append(f"NOT MEASURED  {error}")

    def _choose(self, contender: Contender) -> None:
        """The fastest of its settings."""
        tried: dict[Setting, float] = {}
        for setting in contender.settings if self.size.trial else ():
            self.say(f"{contender.name}: trying {setting.says}")
            tried[setting] = clocked(contender, setting, self.ground, count=self.size.trial).consume
        self.chosen[contender.name] = max(tried, key=lambda one: tried[one], default=contender.settings[0])
        self.tried[contender.name] = {setting.says: round(rate) for setting, rate in tried.items()}

    def _round(self, contender: Contender, number: int) -> None:
        self.say(f"{contender.name}: round {number + 1}")
        done = clocked(contender, self.chosen[contender.name], self.ground, count=self.size.count)
        self.rounds.setdefault(contender.name, []).append(done)

    def _sum_up(self, contender: Contender) -> None:
        rounds = self.rounds[contender.name]
        names = [each.name for each in fields(Round) if each.name not in ("safe", "wrong")]
        found: dict[str, float | None] = {
            name: median(getattr(each, name) for each in rounds) for name in names
        }
        found["safe"] = min(each.safe for each in rounds) if contender.acknowledges else None
        self.figures[contender.name] = found
        self.wrong += [f"WRONG  {contender.name}: {each.wrong}" for each in rounds if each.wrong]

    def _compare(self, names: Sequence[str]) -> None:
        """How many times as fast ours was: the median of the ratios of each round."""
        mine = [each.consume for each in self.rounds[OURS]]
        ratios = {
            name: ratio_of(mine, [each.consume for each in self.rounds[name]])
            for name in names
            if name != OURS
        }
        for name, ratio in ratios.items():
            self.figures[name]["beside"] = ratio
        self.figures[OURS]["beside"] = min(ratios.values(), default=None)
