"""A request of Prometheus -> what the log, the listener, the table and this process count.

For whoever brings the token of ``METRICS_TOKEN``, which asks no database, and for users who may view messages. The
answer comes within a second whatever hangs: what could not be asked in time is left out, and ``messaging_up`` says so.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any, NamedTuple

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from messaging import connection, lease, log, taskmetrics, wire
from messaging.conf import conf
from messaging.exposition import CONTENT_TYPE, Metric, Sample, counter, exposition, gauge
from messaging.listener import Report, report_of
from messaging.live.access import may_view
from messaging.live.counters import counters
from messaging.live.limits import caps, limits
from messaging.log import Position
from messaging.models import Cursor
from messaging.quantities import COUNTED
from messaging.questions import Questions
from messaging.status import LogStatus, StoreStatus, log_status, store_status

SCRAPE_SECONDS = 0.95
REDIS_SECONDS = 0.5  # of silence
CURSOR_SECONDS = 0.3  # that Redis's part waits for the relay's position

_questions = Questions("metrics")


@never_cache
@require_safe
def scrape(request: HttpRequest) -> HttpResponse:
    """``/metrics``: 200 with the text, 403 for everybody else."""
    began = time.perf_counter()
    try:
        allowed = _may_read(request)
    except (DatabaseError, InterfaceError):
        return HttpResponse(
            "The database cannot say who you are; METRICS_TOKEN needs none.\n",
            status=503,
            content_type="text/plain; charset=utf-8",
        )
    if not allowed:
        return HttpResponse(
            "Only with the bearer token of METRICS_TOKEN, or the permission messaging.view_message.\n",
            status=403,
            content_type="text/plain; charset=utf-8",
        )
    metrics = [*collect()]
    metrics.append(
        gauge(
            "messaging_scrape_duration_seconds",
            "How long this answer took.",
            round(time.perf_counter() - began, 6),
        )
    )
    return HttpResponse(exposition(metrics), content_type=CONTENT_TYPE)


def _may_read(request: HttpRequest) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if (token := conf.METRICS_TOKEN) and scheme.lower() == "bearer":
        return constant_time_compare(given.strip(), token)
    return may_view(request.user) if hasattr(request, "user") else False


# -- asking -------------------------------------------------------------------------------------------------------


class _Redis(NamedTuple):
    """What Redis says."""

    logs: list[LogStatus]
    stored_known: bool  # is the relay's position in them?
    beat: Report | None
    now: float


def collect() -> Iterator[Metric]:
    """Everything, after ``SCRAPE_SECONDS`` at the most."""
    database = _questions.ask("database", store_status)
    redis = _questions.ask("redis", lambda: _ask_redis(database))
    queues = _questions.ask("queues", taskmetrics.ask)
    wait((database, redis, queues), timeout=SCRAPE_SECONDS)
    store: tuple[StoreStatus, dict[int, Cursor]] | None = _answer(database)
    told: _Redis | None = _answer(redis)
    yield gauge(
        "messaging_up",
        "Did it answer in time: 1 or 0.",
        Sample(told is not None, {"part": "redis"}),
        Sample(store is not None, {"part": "database"}),
    )
    if told is not None:
        yield from _of_log(told)
        yield from _of_listener(told)
    if store is not None:
        yield from _of_store(store[0])
    if (found := _answer(queues)) is not None:
        yield from taskmetrics.metrics(found)
    yield from _of_process()


def _answer(future: Future[Any]) -> Any:
    return future.result() if future.done() and future.exception() is None else None


def _ask_redis(database: Future[tuple[StoreStatus, dict[int, Cursor]]]) -> _Redis:
    client = connection.client(timeout=REDIS_SECONDS)
    beat = report_of(lease.last_beat(client))
    cursors: dict[int, Cursor] | None = None
    with suppress(Exception):  # it is away, or late
        cursors = database.result(timeout=CURSOR_SECONDS)[1]
    logs = [log_status(client, each, (cursors or {}).get(each)) for each in log.partitions()]
    return _Redis(logs, cursors is not None, beat, time.time())


# -- answers ------------------------------------------------------------------------------------------------------


def _of_log(told: _Redis) -> Iterator[Metric]:
    def each(value: Any) -> list[Sample]:
        found = ((value(status), {"partition": str(status.partition)}) for status in told.logs)
        return [Sample(number, labels) for number, labels in found if number is not None]

    yield gauge("messaging_log_entries", "Entries in the log.", *each(lambda status: status.entries))
    yield gauge("messaging_log_max_entries", "There publish() refuses.", *each(lambda status: status.cap))
    yield gauge(
        "messaging_log_oldest_age_seconds",
        "Age of the oldest entry in the log.",
        *each(lambda status: _age(status.first, told.now)),
    )
    if told.stored_known:
        yield gauge(
            "messaging_relay_lag_seconds",
            "Age of the oldest entry that is not stored in the table yet; 0 when all are.",
            *each(lambda status: status.lag_seconds),
        )


def _age(position: str | None, now: float) -> float | None:
    return None if position is None else round(max(0.0, now - Position.parse(position).ms / 1000), 3)


def _of_listener(told: _Redis) -> Iterator[Metric]:
    beat = told.beat
    yield gauge("messaging_listener_in_charge", "Is a listener in charge: 1 or 0.", beat is not None)
    if beat is None:
        return
    age = round(max(0.0, told.now - beat.at), 3)
    yield gauge("messaging_listener_heartbeat_age_seconds", "Since the listener in charge was heard.", age)
    yield counter("messaging_listener_stored_total", "Entries that it stored since it started.", beat.stored)
    yield counter("messaging_listener_captured_total", "Of them from foreign publishers.", beat.captured)
    yield gauge(
        "messaging_listener_failing",
        "Parts of the listener that cannot go on at the moment.",
        *(Sample(1, {"part": part, "reason": reason}) for part, reason in sorted(beat.failures.items())),
    )


def _of_store(store: StoreStatus) -> Iterator[Metric]:
    up_to = f"counted up to {COUNTED:,}."
    yield gauge("messaging_outbox_pending", f"Rows that wait to be confirmed, {up_to}", store.outbox_pending)
    yield gauge(
        "messaging_outbox_oldest_age_seconds",
        "How long the oldest of them has been waiting.",
        store.outbox_oldest_seconds,
    )
    yield gauge(
        "messaging_task_outbox_pending",
        f"Tasks that were enqueued in a transaction and are not certain to be in their queues, {up_to}",
        store.tasks.pending,
    )
    yield gauge("messaging_task_outbox_unsent", f"Of them never sent, {up_to}", store.tasks.unsent)
    yield gauge(
        "messaging_task_outbox_resent",
        f"Of them found by the listener, by what it found, {up_to}",
        *(Sample(count, {"reason": why}) for why, count in sorted(store.tasks.resent.items())),
    )
    yield gauge(
        "messaging_task_outbox_oldest_age_seconds",
        "How long the oldest of them has been waiting.",
        store.tasks.oldest_seconds,
    )
    yield gauge("messaging_quarantined", f"Entries in quarantine, {up_to}", store.quarantined)
    yield gauge("messaging_gaps", f"Recorded spans that may have been lost, {up_to}", store.gaps)


def _of_process() -> Iterator[Metric]:
    """What this process counts; others of the same site count their own."""
    yield gauge("messaging_live_open_streams", "Browsers connected to this process.", limits.open)
    yield gauge(
        "messaging_live_limit",
        "How many streams may be open in one process, and begin in a second; no sample: no limit.",
        *(Sample(most, {"limit": name}) for name, most in caps().items() if most),
    )
    yield gauge("messaging_live_feeds", "Different filters among them.", counters.feeds)
    for name, value, meaning in (
        ("streams", counters.connected, "Streams that began."),
        ("refused", counters.refused, "Streams refused for lack of permission."),
        (
            "overloaded",
            [Sample(number, {"limit": name}) for name, number in sorted(counters.overloaded.items())],
            "Streams told to come back later, by the limit that they would have exceeded.",
        ),
        ("entries", counters.entries, "Entries read from the log, each once."),
        ("frames", counters.frames, "Frames given to browsers."),
        ("bytes", counters.sent_bytes, "Bytes given to browsers."),
        ("chunks", counters.chunks, "Writes that carried them."),
        ("dropped", counters.dropped, "Browsers dropped since they took nothing."),
        ("overruns", counters.overruns, "Browsers that fell off their feed and caught up from the log."),
        ("catch_ups", counters.catch_ups, "Pages read for browsers that were behind."),
        ("gaps", counters.gaps, "Gaps told to browsers."),
        ("reborn", counters.reborn, "Logs that began anew under the reader."),
    ):
        values = value if isinstance(value, list) else [value]
        yield counter(f"messaging_live_{name}_total", f"{meaning} Of this process.", *values)
    yield gauge(
        "messaging_publish_breaker_open",
        "Does publish() of this process fail at once, since Redis did not answer: 1 or 0.",
        wire.breaker.is_open,
    )
    yield counter(
        "messaging_publish_unheard_total",
        "Messages of this process that reached the log, but no Pub/Sub subscriber (ACL).",
        log.refused_publishes,
    )
