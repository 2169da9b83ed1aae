"""A world -> more of something than usual: threads, events in a transaction, entries behind."""

import json
import signal
import statistics
import time

from tests.chaos.logs import last_of, log_of
from tests.chaos.world import World
from tests.waiting import eventually

THREADS = 50
EVENTS = 10_000
BACKLOG = 1_000_000
STALL_SECONDS = 3.0

_FILL = """
for n = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  redis.call('XADD', KEYS[1], '*', 'e', '{"specversion":"1.0","id":"b-' .. n .. '","source":"/bulk","type":"bulk",'
    .. '"subject":"bulk","time":"2026-01-01T00:00:00Z","data":{"n":' .. n .. ',"pad":"' .. ARGV[3] .. '"}}')
end
"""


def stall_before_crowd(world: World) -> None:
    """Redis falls silent while fifty threads of a process publish: nobody waits for longer than the budget."""
    crowd = world.start_crowd(THREADS)
    world.crowd_published(crowd)
    world.broker.signal(signal.SIGSTOP)
    began = time.time()
    world.pause(STALL_SECONDS, STALL_SECONDS)
    ended = time.time()
    world.broker.signal(signal.SIGCONT)
    world.crowd_published(crowd)
    status = crowd.terminate(timeout=30.0)
    assert status == 0, f"the crowd ended with {status}: {crowd.words()}"
    budget = world.messaging["PUBLISH_BUDGET"]
    calls = json.loads(world.times.read_text())
    stalled = [(seconds, outcome) for start, seconds, outcome in calls if began <= start < ended]
    took = sorted(seconds for seconds, outcome in stalled if outcome != "late")
    late = max(seconds for seconds, outcome in stalled if outcome == "late")
    p99 = statistics.quantiles(took, n=100)[98]
    refused = sum(seconds < budget / 5 + late for seconds in took) / len(took)
    world.figures |= {
        "calls while stalled": len(took),
        "p50 ms": round(statistics.median(took) * 1000, 2),
        "p99 ms": round(p99 * 1000, 1),
        "max ms": round(took[-1] * 1000),
        "machine late ms": round(late * 1000),
        "refused at once %": round(100 * refused, 1),
    }
    if p99 > budget + late:  # the budget is of the clock's time, and the processor may be somebody else's
        world.broken.append(f"I8 p99 of publish() is {p99:.2f} s, more than the budget of {budget} s")
    if refused < 0.9:
        world.broken.append(f"I8 the breaker let {1 - refused:.0%} of the calls wait")


def big_transaction(world: World) -> None:
    """Ten thousand events, committed at once."""
    began = time.monotonic()
    writer = world.start_writer(direct=0.0, burst=EVENTS)
    status = writer.wait(timeout=300.0)
    assert status == 0, f"the writer ended with {status}: {writer.words()}"
    world.writers.remove(writer)
    committed = time.monotonic()
    name = world.ledgers[writer.pid]
    stored = f"channel LIKE 'w.{name}.%' AND log_ms IS NOT NULL"
    eventually(
        lambda: world.rows.count("message", stored) >= EVENTS,
        timeout=300,
        every=0.1,
        message="all are stored",
    )
    world.figures["transaction s"] = round(committed - began, 1)
    world.figures["all stored s later"] = round(time.monotonic() - committed, 1)
    world.figures["listener MB"] = max(child.memory_mb() for child in world.listeners)


def backlog(world: World) -> None:
    """A million entries that the listener has not read when it starts."""
    world.kill_listener()
    client = world.redis()
    fill = client.register_script(_FILL)
    for start in range(1, BACKLOG, 2000):
        fill(keys=[log_of(0)], args=[start, start + 1999, "x" * 100])
    end = last_of(client, 0)
    began = time.monotonic()
    listener = world.start_listener()
    eventually(lambda: world.rows.cursor(0)[1] >= end, timeout=900, every=0.2, message="all of it is read")
    took = time.monotonic() - began
    assert world.rows.count("message", "channel = 'bulk'") == BACKLOG
    world.figures |= {
        "caught up s": round(took, 1),
        "entries/s": round(BACKLOG / took),
        "listener MB": listener.memory_mb(),
    }
