"""publish() -> how long until a browser has the frame, to plain Pub/Sub from process to process."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import msgspec
import redis

from benchmarks.receiver import CHANNEL, PLAIN_CHANNEL
from benchmarks.result import Result, ratio_of
from benchmarks.stage import Stage
from benchmarks.web import web
from messaging import publish
from tests.processes import Process, plain_environment, python

PER_SECOND = 200
WINDOW = 100  # messages of one way before the other has its turn


def measure(stage: Stage) -> list[Result]:
    """The same payload at the same rate, in windows of half a second, turn and turn about."""
    rounds = 4 if stage.quick else 20
    client = redis.Redis(unix_socket_path=str(stage.broker.socket))
    with web(stage, "live") as site:
        receivers = (
            _receiver("frames", str(site.port), site.database.session),
            _receiver("pubsub", str(stage.broker.socket)),
        )
        try:
            for receiver in receivers:
                receiver.wait_for("^ready$")

            def plain(data: dict[str, Any]) -> None:
                client.publish(PLAIN_CHANNEL, msgspec.json.encode(data))

            def ours(data: dict[str, Any]) -> None:
                publish(CHANNEL, data)

            for window in range(rounds + 1):  # the first warms up
                for send in (plain, ours) if window % 2 else (ours, plain):
                    _window(send, window)
            for send in (plain, ours):
                send({"window": 0, "sent": 0, "last": True})
            mine, theirs = (_medians(receiver, rounds) for receiver in receivers)
        finally:
            for receiver in receivers:
                receiver.clean_up()
    client.close()
    return [Result("frame_delay", median(mine), median(theirs), "us", ratio_of(mine, theirs))]


def _receiver(*arguments: str) -> Process:
    return Process(python("-m", "benchmarks.receiver", *arguments), env=plain_environment())


def _window(send: Callable[[dict[str, Any]], None], window: int) -> None:
    due = time.monotonic()
    for _ in range(WINDOW):
        time.sleep(max(0.0, due - time.monotonic()))
        due += 1 / PER_SECOND
        send({"window": window, "sent": time.monotonic_ns(), "filler": "x" * 150})


def _medians(receiver: Process, rounds: int) -> list[float]:
    """Microseconds, for each window but the first; refuses a count that is not complete."""
    delays: dict[str, list[int]] = json.loads(receiver.wait_for(r"^\{.*\}$")[0])
    for window in range(1, rounds + 1):
        if len(delays[str(window)]) != WINDOW:
            raise RuntimeError(f"{len(delays[str(window)])} of {WINDOW} messages arrived in {receiver}")
    return [median(delays[str(window)]) / 1000 for window in range(1, rounds + 1)]
