"""The name of a figure -> what it compares and the ratio it has to keep. The one table of all bounds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bound:
    """``at_least``: the ratio is a speed and has to reach ``limit``; else it is a time and must not exceed it."""

    compares: str
    limit: float | None  # None: told, and nothing asked
    at_least: bool = True

    def holds(self, ratio: float) -> bool:
        if self.limit is None:
            return True
        return ratio >= self.limit if self.at_least else ratio <= self.limit

    def __str__(self) -> str:
        if self.limit is None:
            return "-"
        return f"{'>=' if self.at_least else '<='} {self.limit:g}"


BOUNDS = {
    "publish": Bound("publish(), to redis-py's evalsha() of the same script", 1.0),
    "publish_many": Bound("publish_many(), to the same script in redis-py's pipeline", 0.9),
    "relay_sqlite": Bound("relay, to XREAD + executemany() of plain INSERTs", 0.75),
    "relay_postgresql": Bound("relay, to XREAD + COPY straight into the table", 0.75),
    "tutorial_sqlite": Bound("relay, to pubsub.listen() + Model.objects.create()", 8.0),
    "tutorial_postgresql": Bound("relay, to pubsub.listen() + Model.objects.create()", 20.0),
    "frame_delay": Bound(
        "p50 from publish() to a browser's frame, to plain Pub/Sub between processes", 1.5, at_least=False
    ),
    "frame_hop": Bound("the same, to a bare loop of XREAD and sendall() in its place", 1.5, at_least=False),
    "transaction_sqlite": Bound("a transaction with publish(), to the same with one more plain row", None),
    "transaction_postgresql": Bound(
        "a transaction with publish(), to the same with one more plain row", None
    ),
    "standby": Bound("a listener's rows/s beside another that stands by, to its rows/s alone", None),
    "catch_up": Bound(
        "peak memory of a listener that has 1,000,000 messages to catch up, to 200 MB", 1.0, at_least=False
    ),
    "request_delay": Bound(
        "p99 of a trivial view beside a busy listener, to an idle site's", 1.5, at_least=False
    ),
    "queue_core": Bound("enqueue, claim, settle by 50, to redis-py's LPUSH and BRPOP of each task", 1.4),
    "tasks_sync": Bound("manage.py work, a task that does nothing, to LPUSH and BRPOP of each", 0.4),
    "tasks_async": Bound("the same with a coroutine", 0.4),
}
