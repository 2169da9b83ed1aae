"""publish() -> how long until a browser has the frame, to plain Pub/Sub from process to process.

A frame makes one hop more than a Pub/Sub message: Redis, web process, browser. What that hop costs at the least on the
machine is measured beside it, with :mod:`benchmarks.bare_relay` in the place of the web process.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from statistics import median
from typing import Any

import msgspec
import redis
from django.conf import settings
from django.test import override_settings

from benchmarks.receiver import CHANNEL, PLAIN_CHANNEL
from benchmarks.result import Result, ratio_of
from benchmarks.stage import Stage
from benchmarks.web import web
from messaging import keys, publish
from tests.processes import Process, plain_environment, python

PER_SECOND = 200
WINDOW = 100  # messages of one way before the other has its turn


def measure(stage: Stage) -> list[Result]:
    """The same payload at the same rate, in windows of half a second, one way after the other."""
    rounds = 4 if stage.quick else 20
    client = redis.Redis(unix_socket_path=str(stage.broker.socket))
    apart = override_settings(MESSAGING=settings.MESSAGING | {"NAMESPACE": "bare"})  # a log of its own
    with apart:
        publish(CHANNEL, {})
        relay = Process(
            python("-m", "benchmarks.bare_relay", str(stage.broker.socket), keys.log(0)),
            env=plain_environment(),
        )
    with web(stage, "live") as site:
        receivers = [
            _receiver("frames", str(site.port), site.database.session),
            _receiver("bare", relay.wait_for(r"^\d+$")[0]),
            _receiver("pubsub", str(stage.broker.socket)),
        ]
        try:
            for receiver in receivers:
                receiver.wait_for("^ready$")

            def ours(data: dict[str, Any]) -> None:
                publish(CHANNEL, data)

            def bare(data: dict[str, Any]) -> None:
                publish(CHANNEL, data)

            def plain(data: dict[str, Any]) -> None:
                client.publish(PLAIN_CHANNEL, msgspec.json.encode(data))

            ways = [ours, bare, plain]
            for window in range(rounds + 1):  # the first warms up
                for send in ways if window % 2 else reversed(ways):
                    with apart if send is bare else nullcontext():
                        _window(send, window)
            for send in ways:
                with apart if send is bare else nullcontext():
                    send({"window": 0, "sent": 0, "last": True})
            frame, bare_frame, raw = (_medians(receiver, rounds) for receiver in receivers)
        finally:
            for process in (*receivers, relay):
                process.clean_up()
    client.close()
    return [
        Result("frame_delay", median(frame), median(raw), "us", ratio_of(frame, raw)),
        Result("frame_hop", median(frame), median(bare_frame), "us", ratio_of(frame, bare_frame)),
    ]


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
