"""The name of a figure -> what it says, in which unit, and what ours has to reach. The one table of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bound:
    """``limit`` None: told, and nothing asked."""

    says: str
    unit: str
    limit: float | None = None
    at_least: bool = True

    def holds(self, value: float) -> bool:
        if self.limit is None:
            return True
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return "" if self.limit is None else f"{'>=' if self.at_least else '<='} {self.limit:,g}"


BOUNDS = {
    "consume": Bound("tasks that do nothing, consumed", "/s", 8000),
    "beside": Bound("... that is, to each of the others (bound: to the fastest)", "x", 2.5),
    "safe": Bound("... ended successful and acknowledged, none left or leased", "%", 100),
    "worker_cpu": Bound("... CPU of the worker for each, all of its processes", "us"),
    "server_cpu": Bound("... CPU of the server for each", "us"),
    "memory": Bound("memory of the process that runs them, afterwards (RSS)", "MB", 70, at_least=False),
    "memory_all": Bound("... and of all processes of the worker, shared pages once (PSS)", "MB"),
    "enqueue": Bound("enqueued one at a time", "/s"),
    "enqueue_ratio": Bound("... to redis-py's evalsha() of the same script", "x", 0.7),
    "enqueue_many": Bound("enqueued with enqueue_many()", "/s", 40_000),
}


def verdict(name: str, value: float | None) -> str:
    """What is said of one of our figures."""
    if value is None:
        return "not measured"
    if BOUNDS[name].limit is None:
        return ""
    return "ok" if BOUNDS[name].holds(value) else "MISSED"
