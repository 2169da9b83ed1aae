"""publish() -> its time for a call, to redis-py's own evalsha() with the envelope ready-made."""

from __future__ import annotations

import time
from statistics import median

import redis

from benchmarks.envelopes import data
from benchmarks.result import Result, alternate, ratio_of
from benchmarks.stage import Stage
from messaging import keys, publish, scripts
from messaging.conf import conf
from messaging.publisher import prepare

CHANNEL = "orders.created"
BLOCK = 25  # calls of one way before the other has its turn


def measure(stage: Stage) -> list[Result]:
    """The plain call: ``redis.Redis(unix_socket_path=...)`` on its default settings, XADD and PUBLISH in our script."""
    client = redis.Redis(unix_socket_path=str(stage.broker.socket))
    publish(CHANNEL, data(0))  # the server knows the script from here on
    _, body = prepare(CHANNEL, data(0))
    sha, log, epoch, most = (
        scripts.append_script.sha.decode(),
        keys.log(0),
        keys.epoch(0),
        conf.MAX_LOG_ENTRIES,
    )
    newborn, content = scripts.newborn(), data(0)
    cpu: dict[str, list[float]] = {"ours": [], "plain": []}

    def plain() -> float:
        began, busy = time.perf_counter(), time.process_time()
        for _ in range(BLOCK):
            client.evalsha(sha, 2, log, epoch, most, newborn, 0, CHANNEL, body)
        cpu["plain"].append((time.process_time() - busy) / BLOCK * 1e6)
        return (time.perf_counter() - began) / BLOCK * 1e6

    def ours() -> float:
        began, busy = time.perf_counter(), time.process_time()
        for _ in range(BLOCK):
            publish(CHANNEL, content)
        cpu["ours"].append((time.process_time() - busy) / BLOCK * 1e6)
        return (time.perf_counter() - began) / BLOCK * 1e6

    alternate(ours, plain, rounds=20)
    cpu = {"ours": [], "plain": []}
    mine, theirs = alternate(ours, plain, rounds=150 if stage.quick else 600)
    client.close()
    busy = {name: round(median(samples), 1) for name, samples in cpu.items()}
    return [
        Result(
            "publish",
            median(mine),
            median(theirs),
            "us",
            ratio_of(theirs, mine),
            note=f"client's CPU {busy['ours']:g} us, redis-py's {busy['plain']:g} us",
            more={"cpu_us": busy},
        )
    ]
