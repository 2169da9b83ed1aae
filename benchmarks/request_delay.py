"""A site that stores 1,000 messages a second in a background thread -> its slowest requests, to an idle site's."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from statistics import median, quantiles

from benchmarks.envelopes import messages
from benchmarks.result import Result, ratio_of
from benchmarks.stage import Stage
from benchmarks.web import Web, web
from messaging import publish_many
from tests.processes import ROOT, plain_environment, python
from tests.waiting import eventually

REQUESTS = 100  # a second
MESSAGES = 1000  # a second
HANDFUL = 10  # published at a time


def measure(stage: Stage) -> list[Result]:
    """Two web processes, one with LISTEN_IN_WEB, in windows turn and turn about; the idle one's see no message."""
    rounds, seconds = (3, 1.5) if stage.quick else (8, 3.0)
    with web(stage, "idle") as idle, web(stage, "busy", listening=True) as busy:
        requester = subprocess.Popen(
            python("-m", "benchmarks.requester"),
            env=plain_environment(),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            publish_many(messages(1))
            eventually(lambda: _stored(busy) > 0, timeout=15, message="the background thread relays")
            calm, loaded, stored = [], [], []
            for number in range(rounds + 1):  # the first warms up
                for listening in (True, False) if number % 2 else (False, True):
                    before = _stored(busy)
                    times = _window(requester, busy if listening else idle, seconds, publishing=listening)
                    if number and listening:
                        loaded.append(_p99(times))
                        stored.append((_stored(busy) - before) / seconds)
                    elif number:
                        calm.append(_p99(times))
        finally:
            requester.terminate()
            requester.communicate(timeout=10)
    return [
        Result(
            "request_delay",
            median(loaded),
            median(calm),
            "ms",
            ratio_of(loaded, calm),
            note=f"{median(stored):,.0f} messages a second stored meanwhile",
        )
    ]


def _window(requester: subprocess.Popen[str], site: Web, seconds: float, *, publishing: bool) -> list[float]:
    assert requester.stdin is not None
    assert requester.stdout is not None
    requester.stdin.write(f"{site.port} {REQUESTS} {seconds}\n")
    requester.stdin.flush()
    if publishing:
        _publish(seconds)
    answer = requester.stdout.readline()
    if not answer:
        sys.exit("the requester ended")
    times: list[float] = json.loads(answer)
    return times


def _publish(seconds: float) -> None:
    """In handfuls, so that the publisher itself takes little of the machine."""
    began = time.monotonic()
    for sent in range(0, int(seconds * MESSAGES), HANDFUL):
        wait = began + sent / MESSAGES - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        publish_many(messages(HANDFUL))


def _p99(times: list[float]) -> float:
    return quantiles(times, n=100, method="inclusive")[98]


def _stored(site: Web) -> int:
    with sqlite3.connect(f"file:{site.database.path}?mode=ro", uri=True) as connection:
        (count,) = connection.execute("SELECT count(*) FROM messaging_message").fetchone()
    connection.close()
    return int(count)
