"""How often a task has failed -> how long to wait before it runs again. Pure; chance comes in as an argument."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from messaging.errors import InvalidOption, shown

logger = logging.getLogger("messaging.work")

LONGEST = 365 * 86400.0  # seconds; beyond it a number is taken for a mistake


@dataclass(frozen=True, slots=True, kw_only=True)
class Exponential:
    """Full jitter: evenly anywhere between 0 and ``first * factor ** (failures - 1)`` seconds, at most ``most``.

    Spreading the whole span is what keeps a crowd that failed together from coming back together:
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    first: float = 10.0
    factor: float = 2.0
    most: float = 3600.0

    def seconds(self, failures: int, chance: float) -> float:
        """``failures`` so far, at least 1, and ``chance`` from 0 to 1 -> seconds."""
        try:
            longest = self.first * self.factor ** (failures - 1)
        except OverflowError:
            longest = math.inf
        return min(longest, self.most) * chance


DEFAULT = Exponential()

# What an option may be: seconds, the default's parameters, or a function (exception, task_result) -> seconds.
Backoff = float | Exponential | Callable[[BaseException, Any], float]


def check_backoff(value: object, name: str = "backoff") -> None:
    """Raise :class:`InvalidOption` for what cannot be a backoff."""
    if isinstance(value, Exponential):
        for part in ("first", "factor", "most"):
            if not _is_a_span(getattr(value, part)):
                raise InvalidOption(f"{name}: {part} is a number from 0, not {shown(getattr(value, part))}")
    elif not _is_a_span(value) and not callable(value):
        raise InvalidOption(
            f"{name} is seconds, Exponential(...) or a function (exception, task_result) -> seconds, not {shown(value)}"
        )


def delay_of(backoff: Backoff, error: BaseException, result: Any, *, failures: int, chance: float) -> float:
    """Seconds until the next attempt. A function of the user's that fails gets the default, and a log line."""
    if isinstance(backoff, Exponential):
        return backoff.seconds(failures, chance)
    if not callable(backoff):
        return backoff
    try:
        seconds = backoff(error, result)
        if _is_a_span(seconds):
            return float(seconds)
        logger.error(
            "backoff of task id=%s returned %s, which is no number of seconds", result.id, shown(seconds)
        )
    except Exception:
        logger.exception("backoff of task id=%s failed", result.id)
    return DEFAULT.seconds(failures, chance)


def asked_for(seconds: object) -> float | None:
    """What a ``RetryAfter`` says -> seconds; a moment that has passed is now. ``None``: that is no number of seconds,
    as when a server's Retry-After header is taken at its word."""
    if isinstance(seconds, int | float) and seconds < 0:
        return 0.0
    return float(seconds) if _is_a_span(seconds) else None  # type: ignore[arg-type]


def _is_a_span(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LONGEST
