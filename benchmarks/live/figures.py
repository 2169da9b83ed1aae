"""A running server -> its figures, by the same steps for each.

Of several windows the best counts: what else runs on the machine only adds to a time. Of what arrives, the worst.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from benchmarks.live.crowd import Crowd
from benchmarks.live.server import Server, payload
from tests.processes import Process
from tests.waiting import eventually

STREAMS = 1000
BURST = 2000
WARM_UP = 100
RATE = 20  # messages a second
MANY = 5000
PATIENCE = 60.0  # seconds until a step counts as failed
LONG = 10.0  # seconds: a burst that takes so long is measured once

Figures = dict[str, float]
Say = Callable[[str], None]


def of_any(
    server: Server,
    found: Figures,
    *,
    quick: bool,
    say: Say,
    with_crowd: Callable[[Crowd], None] | None = None,
) -> None:
    """Connecting, idling, a steady trickle and bursts, with 1,000 streams; then ``with_crowd``.

    What it finds is put into ``found`` step by step: a server that fails at one step keeps what it did before. Bursts
    come last: some servers are busy with what they could not send long after the streams are closed.
    """
    rounds = 2 if quick else 5
    with Crowd(server.port, server.request, server.ready) as crowd:
        say("warming up")
        _open(crowd, WARM_UP)
        _burst(server, crowd, 200, WARM_UP)
        _leave(crowd)
        say("connecting")
        before = server.memory_kib()
        connects = [_open(crowd, STREAMS)]
        time.sleep(1.0)  # what connecting left behind is collected
        found["idle"] = (server.memory_kib() - before) / STREAMS
        for _ in range(2):
            _leave(crowd)
            connects.append(_open(crowd, STREAMS))
        found["connect"] = min(connects)
        say("a steady trickle")
        windows = [_steady(server, crowd, seconds=2) for _ in range(rounds)]
        found |= {name: min(window[name] for window in windows) for name in windows[0]}
        say("bursts")
        bursts = [_burst(server, crowd, BURST, STREAMS)]
        while len(bursts) < rounds and bursts[-1][2] < LONG:
            bursts.append(_burst(server, crowd, BURST, STREAMS))
        found["burst_cpu"] = min(cpu for cpu, _, _ in bursts)
        found["burst_delivered"] = min(delivered for _, delivered, _ in bursts)
        found["burst_seconds"] = min(seconds for _, _, seconds in bursts)
        if with_crowd is not None:
            with_crowd(crowd)


def of_ours(server: Server, process: Process, found: Figures, *, quick: bool, say: Say) -> None:
    """The same, and 5,000 streams that are held, and how soon a server with 1,000 of them stops."""

    def more(crowd: Crowd) -> None:
        say("5,000 idle streams")
        before = server.memory_kib()
        _open(crowd, MANY - STREAMS)
        began, cpu = time.monotonic(), server.cpu_seconds()
        time.sleep(3.0 if quick else 20.0)  # a heartbeat comes within
        found["held_kib"] = (server.memory_kib() - before) / (MANY - STREAMS)
        found["held_cpu_percent"] = (server.cpu_seconds() - cpu) / (time.monotonic() - began) * 100
        crowd.ask("expect", 1, PATIENCE)
        server.publish([payload(time.monotonic_ns())])
        found["held"] = crowd.ask("wait")["complete"]
        say("stopping")
        _leave(crowd)
        _open(crowd, STREAMS)
        began = time.monotonic()
        process.signal(signal.SIGTERM)
        process.wait(PATIENCE)
        found["stop"] = time.monotonic() - began
        if left := crowd.ask("ended", 5)["open"]:
            raise RuntimeError(f"{left} streams outlived the server")

    of_any(server, found, quick=quick, say=say, with_crowd=more)


# -- steps --------------------------------------------------------------------------------------------------------


def _open(crowd: Crowd, count: int) -> float:
    """Seconds until the last is open."""
    answer = crowd.ask("open", count, PATIENCE)
    if answer["open"] < count:
        raise RuntimeError(f"{answer['open']} of {count} streams could be opened")
    return float(answer["seconds"])


def _leave(crowd: Crowd) -> None:
    crowd.ask("close")
    time.sleep(1.0)


def _steady(server: Server, crowd: Crowd, *, seconds: int) -> Figures:
    count = RATE * seconds
    crowd.ask("expect", count, seconds + PATIENCE)
    cpu = server.cpu_seconds()
    due = time.monotonic()
    for _ in range(count):
        time.sleep(max(0.0, due - time.monotonic()))
        due += 1 / RATE
        server.publish([payload(time.monotonic_ns())])
    answer = crowd.ask("wait")
    spent = server.cpu_seconds() - cpu
    if not answer["delivered"]:
        raise RuntimeError("nothing arrived")
    return {
        "steady_cpu": spent / answer["delivered"] * 1e6,
        "steady_p50": answer["delays"]["50"],
        "steady_p99": answer["delays"]["99"],
    }


def _burst(server: Server, crowd: Crowd, count: int, streams: int) -> tuple[float, float, float]:
    """CPU-seconds for a million deliveries, how many percent arrived, and seconds until the last."""
    crowd.ask("expect", count, PATIENCE / 2)
    cpu = server.cpu_seconds()
    sent = time.monotonic_ns()
    server.publish([payload(sent)] * count)
    answer = crowd.ask("wait")
    eventually(lambda: _rests(server), timeout=PATIENCE, every=0.0)
    spent = server.cpu_seconds() - cpu
    delivered = answer["delivered"]
    return spent / max(1, delivered) * 1e6, delivered / (count * streams) * 100, answer["seconds"]


def _rests(server: Server) -> bool:
    """Is its work done? What it does after the last byte counts as well."""
    before = server.cpu_seconds()
    time.sleep(0.1)
    return server.cpu_seconds() - before < 0.03
