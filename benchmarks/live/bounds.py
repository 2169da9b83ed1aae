"""The name of a figure -> what it says and what this server has to reach. The one table of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bound:
    says: str
    unit: str
    limit: float
    at_least: bool = False

    def holds(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.limit:g}"


BOUNDS = {
    "connect": Bound("1,000 streams connect, the last one is open after", "s", 1.0),
    "idle": Bound("memory of an idle stream, of 1,000", "KiB", 12.0),
    "steady_cpu": Bound("20 messages a second to 1,000 streams: CPU for each delivery", "us", 13.0),
    "steady_p99": Bound("... and p99 of the delay from publish to the browser's socket", "ms", 50.0),
    "burst_cpu": Bound(
        "2,000 messages of 256 bytes at once to 1,000: CPU for a million deliveries", "s", 0.2
    ),
    "burst_delivered": Bound("... and so many arrived", "%", 100.0, at_least=True),
    "held": Bound("idle streams that stay open", "", 5000, at_least=True),
    "stop": Bound("1,000 streams open, told to stop: gone after", "s", 2.0),
}
