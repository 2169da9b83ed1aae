"""Queues, each asked once, and the schedule -> what ``/metrics`` says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from messaging import timetable
from messaging.exposition import Metric, Sample, gauge
from messaging.taskqueue import standing
from messaging.taskqueue.standing import GROWING_MINUTES, SHARES, Quantiles, Standing

SECONDS = 0.5  # of silence
COUNTS = (
    ("ready", "Tasks that may run now, or wait only for another one of their key."),
    ("running", "Tasks that a worker holds."),
    ("delayed", "Tasks that are due later, the first time or between retries."),
    ("dead", "Tasks that failed for good, until somebody retries or discards them."),
)
Value = Callable[[Standing], float]


class Told(NamedTuple):
    """What Redis says of tasks."""

    queues: Sequence[Standing]
    overdue: Mapping[str, int]  # milliseconds by the name of a schedule


def ask() -> Told:
    """Every queue; raises what the broker raises."""
    return Told(standing.look(standing.all_queues(seconds=SECONDS)), timetable.overdue(seconds=SECONDS))


def metrics(told: Told) -> Iterator[Metric]:
    """Gauges with the labels ``backend`` and ``queue``, or ``schedule``."""
    found = told.queues

    def each(name: str, meaning: str, value: Value) -> Metric:
        samples = (Sample(value(one), {"backend": one.backend, "queue": one.queue}) for one in found)
        return gauge(f"messaging_task_queue_{name}", meaning, *samples)

    for name, meaning in COUNTS:
        yield each(name, meaning, lambda one, name=name: getattr(one.counts, name))  # type: ignore[misc]
    yield each("due", "Delayed tasks whose time has come.", lambda one: one.counts.due_now)
    yield each(
        "oldest_ready_age_seconds",
        "How long the oldest ready task has waited.",
        lambda one: one.counts.oldest_ready_ms / 1000,
    )
    yield each("paused", "Is it paused: 1 or 0.", lambda one: one.paused is not None)
    yield each("workers", "Processes that take from it, heard within a lease.", lambda one: one.workers)
    yield each("slots", "Tasks that these can run at once, for all their queues.", lambda one: one.slots)
    yield each("busy", "Of these slots, those that are taken.", lambda one: one.busy)
    yield each("dropped_dead", "Dead letters given up at a limit, ever.", lambda one: one.counts.dead_dropped)
    yield _quantiles("wait", "From due to begun", found, lambda one: one.wait_ms)
    yield _quantiles("run", "Of one attempt", found, lambda one: one.run_ms)
    yield gauge(
        "messaging_schedule_overdue_seconds",
        "For how long a recurring task should have been made and was not.",
        *(Sample(ms / 1000, {"schedule": name}) for name, ms in told.overdue.items()),
    )


def _quantiles(
    name: str,
    meaning: str,
    found: Sequence[Standing],
    times: Callable[[Standing], Quantiles],
) -> Metric:
    samples = [
        Sample(round(ms / 1000, 6), {"backend": one.backend, "queue": one.queue, "quantile": str(share)})
        for one in found
        for share, ms in zip(SHARES, times(one), strict=True)
        if ms is not None
    ]
    said = f"{meaning}, in the latest {GROWING_MINUTES} minutes: this share of the tasks stays below."
    return gauge(f"messaging_task_queue_{name}_seconds", said, *samples)
