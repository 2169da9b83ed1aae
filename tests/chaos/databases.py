"""A world -> a fault of its database, healed again."""

import os
import signal
import time

from tests.chaos.proxy import Fault
from tests.chaos.world import World
from tests.processes import children_of
from tests.waiting import eventually

DOWN_SECONDS = 65.0


def lock_sqlite(world: World) -> None:
    """Another writer holds the file for longer than anybody waits."""
    lock = world.rows.lock()
    time.sleep(1.5)
    lock.close()


def long_transaction(world: World) -> None:
    """Its messages are written first and committed last, seconds after those of many others."""
    writer = world.start_writer(direct=0.0, hold=2.0)
    world.pause(2.2, 2.5)
    writer.terminate()
    world.writers.remove(writer)


def kill_postgresql(world: World) -> None:
    """Every connection is cut, COMMITs among them; back on what its write-ahead log has."""
    assert world.postgres
    world.postgres.kill()
    world.pause(0.0, 0.5)
    world.postgres.start()


def kill_backend(world: World) -> None:
    """kill -9 of one of PostgreSQL's processes: all connections are cut, and it recovers by itself."""
    assert world.postgres
    backends = [pid for pid, line in children_of(world.postgres.process.pid).items() if "tests" in line]
    if backends:
        os.kill(world.random.choice(backends), signal.SIGKILL)


def commit_that_does_not_arrive(world: World) -> None:
    """Connections are cut by the request to COMMIT: nothing was committed."""
    _cut_commits(world, "cut")


def commit_without_an_answer(world: World) -> None:
    """Connections are cut behind it: all was committed, and nobody was told."""
    _cut_commits(world, "reply")


def _cut_commits(world: World, fault: Fault) -> None:
    proxy = world.database_proxy
    assert proxy
    struck = proxy.struck
    proxy.fault = fault
    eventually(lambda: proxy.struck > struck + 2, message="commits are cut")
    world.pause(0.2, 0.4)
    proxy.fault = ""


def minute_long_transaction(world: World) -> None:
    """Open for a minute, while the others commit a thousand and more."""
    before = world.rows.count("message", "queued_at IS NOT NULL")
    writer = world.start_writer(direct=0.0, hold=60.0)
    world.pause(61.0, 62.0)
    writer.terminate(timeout=120.0)
    world.writers.remove(writer)
    world.figures["short ones meanwhile"] = world.rows.count("message", "queued_at IS NOT NULL") - before


def database_down(world: World) -> None:
    """For more than a minute: PostgreSQL is killed, SQLite is held by somebody else."""
    if world.postgres:
        world.postgres.kill()
    lock = None if world.postgres else world.rows.lock()
    waited = time.monotonic() + DOWN_SECONDS
    while time.monotonic() < waited:
        world.pause(1.0, 1.0)
    if world.postgres:
        world.postgres.start()
    if lock:
        lock.close()
    world.figures["database down s"] = DOWN_SECONDS
