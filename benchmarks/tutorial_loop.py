"""The relay -> its time for a row, to the loop of every tutorial: ``pubsub.listen()`` and ``objects.create()``."""

from __future__ import annotations

import time
from statistics import median

import redis

from benchmarks.envelopes import messages
from benchmarks.relay_rows import parse
from benchmarks.result import Result, alternate, not_measured, ratio_of
from benchmarks.stage import POSTGRESQL, Stage
from benchmarks.stored import by_relay, database, empty, fill, timed
from messaging.models import Message
from messaging.publisher import prepare


def measure_sqlite(stage: Stage) -> list[Result]:
    return [_measure("tutorial_sqlite", "default", stage)]


def measure_postgresql(stage: Stage) -> list[Result]:
    if not stage.postgresql:
        return [not_measured("tutorial_postgresql", "no PostgreSQL")]
    return [_measure("tutorial_postgresql", POSTGRESQL, stage)]


def _measure(figure: str, alias: str, stage: Stage) -> Result:
    count, listened = (5_000, 300) if stage.quick else (20_000, 1_000)
    client = redis.Redis(unix_socket_path=str(stage.broker.socket))
    with database(alias):
        fill(client, count)
        mine, theirs = alternate(
            lambda: timed(by_relay(count), alias=alias, count=count),
            lambda: _by_loop(client, alias, listened),
            rounds=3 if stage.quick else 5,
        )
    client.close()
    return Result(figure, median(mine), median(theirs), "us/row", ratio_of(theirs, mine))


def _by_loop(client: redis.Redis, alias: str, count: int) -> float:
    """Microseconds for a row. All messages wait in the socket and the server's buffer before the clock starts."""
    empty(alias)
    pubsub = client.pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe("tutorial")
    pubsub.get_message(timeout=5)
    pipe = client.pipeline(transaction=False)
    for channel, content in messages(count):
        pipe.publish("tutorial", prepare(channel, content)[1])
    pipe.execute()
    began = time.perf_counter()
    for _, message in zip(range(count), pubsub.listen(), strict=False):
        event = parse(message["data"])
        Message.objects.using(alias).create(
            event_id=event.id,
            source=event.source,
            channel=event.subject,
            type=event.type,
            time=event.time,
            payload=bytes(event.data).decode(),
        )
    took = time.perf_counter() - began
    pubsub.close()
    return took / count * 1e6
