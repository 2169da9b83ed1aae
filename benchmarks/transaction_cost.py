"""A transaction with publish() in it -> its time, to the same transaction with one more plain row in its place."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median

import redis
from django.db import transaction

from benchmarks.envelopes import data
from benchmarks.result import Result, alternate, not_measured, ratio_of
from benchmarks.stage import POSTGRESQL, Stage
from benchmarks.stored import database, empty
from messaging import publish
from messaging.models import Channel

BLOCK = 10  # transactions of one way before the other has its turn


def measure_sqlite(stage: Stage) -> list[Result]:
    """On a file in memory: what a disk takes to sync would hide everything else."""
    return [_measure("transaction_sqlite", "default", stage)]


def measure_postgresql(stage: Stage) -> list[Result]:
    """On a server without fsync, for the same reason."""
    if not stage.postgresql:
        return [not_measured("transaction_postgresql", "no PostgreSQL")]
    return [_measure("transaction_postgresql", POSTGRESQL, stage)]


def _measure(figure: str, alias: str, stage: Stage) -> Result:
    """Both write a row of their own first, by the ORM. Ours ends when the message is in Redis as well."""
    content, now = data(0), datetime.now(UTC)
    until_commit: list[float] = []

    def write() -> None:
        Channel.objects.using(alias).create(name=os.urandom(8).hex(), first_seen=now)

    def ours() -> None:
        began = time.perf_counter()
        with transaction.atomic(using=alias):
            write()
            publish("orders.created", content)
            ready = time.perf_counter()
        until_commit.append(ready - began)

    def plain() -> None:
        with transaction.atomic(using=alias):
            write()
            write()

    with database(alias):
        redis.Redis(unix_socket_path=str(stage.broker.socket)).flushall()
        empty(alias)
        mine, theirs = alternate(_timed(ours), _timed(plain), rounds=20 if stage.quick else 150)
        empty(alias)
    inside = round(median(until_commit) * 1e6)
    return Result(
        figure,
        median(mine),
        median(theirs),
        "us",
        ratio_of(mine, theirs),
        note=f"{inside} us of it up to the COMMIT; the rest commits, reads the row back and sends it",
        more={"until_commit_us": inside},
    )


def _timed(run: Callable[[], None]) -> Callable[[], float]:
    def block() -> float:
        began = time.perf_counter()
        for _ in range(BLOCK):
            run()
        return (time.perf_counter() - began) / BLOCK * 1e6

    return block
