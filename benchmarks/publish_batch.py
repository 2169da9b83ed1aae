"""publish_many() -> its time for a message, to the same script in redis-py's pipeline with the envelopes ready-made."""

from __future__ import annotations

import time
from statistics import median

import redis

from benchmarks.envelopes import messages
from benchmarks.result import Result, alternate, ratio_of
from benchmarks.stage import Stage
from messaging import keys, publish_many, scripts
from messaging.conf import conf
from messaging.publisher import prepare

BATCH = 1000


def measure(stage: Stage) -> list[Result]:
    """The plain call: ``pipeline(transaction=False)`` with one ``evalsha()`` a message."""
    client = redis.Redis(unix_socket_path=str(stage.broker.socket))
    batch = messages(BATCH)
    publish_many(batch)
    ready = [(channel, prepare(channel, content)[1]) for channel, content in batch]
    sha, log, epoch, most = (
        scripts.append_script.sha.decode(),
        keys.log(0),
        keys.epoch(0),
        conf.MAX_LOG_ENTRIES,
    )
    newborn = scripts.newborn()

    def plain() -> float:
        began = time.perf_counter()
        pipe = client.pipeline(transaction=False)
        for channel, body in ready:
            pipe.evalsha(sha, 2, log, epoch, most, newborn, 0, channel, body)
        pipe.execute()
        return (time.perf_counter() - began) / BATCH * 1e6

    def ours() -> float:
        began = time.perf_counter()
        publish_many(batch)
        return (time.perf_counter() - began) / BATCH * 1e6

    alternate(ours, plain, rounds=3)
    mine, theirs = alternate(ours, plain, rounds=15 if stage.quick else 60)
    client.close()
    return [Result("publish_many", median(mine), median(theirs), "us", ratio_of(theirs, mine))]
