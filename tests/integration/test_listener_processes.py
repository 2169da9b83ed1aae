"""Listeners as processes: killed at the worst moments, stopped for a while, told to end. The ledger is the database."""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from django.db import connections
from pytest_django import Settings

import messaging
from messaging import keys
from messaging.listener import Report, report_of
from messaging.models import Cursor, Message, Quarantine
from tests.integration.conftest import StartListener
from tests.integration.relaying import relay_all, stored
from tests.processes import Process, plain_environment, python
from tests.servers import TestServer
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("broker")

Listen = Callable[..., Process]

LEASE_SECONDS = 2.0


@pytest.fixture
def listen(sqlite: str, broker: TestServer, tmp_path: Path, settings: Settings) -> Iterator[Listen]:
    """`listen()` starts `manage.py listen` on the test's database; `listen("-c", script)` any other Python."""
    settings.MESSAGING = settings.MESSAGING | {"LEASE_SECONDS": LEASE_SECONDS}
    started: list[Process] = []
    environment = plain_environment(
        DJANGO_SETTINGS_MODULE="tests.integration.site",
        DATABASE_URL=f"sqlite:///{connections[sqlite].settings_dict['NAME']}",
        REDIS_URL=broker.url,
        VAR_DIR=str(tmp_path),
        MORE_MESSAGING=json.dumps(
            {"LEASE_SECONDS": LEASE_SECONDS, "CAPTURE_CHANNELS": ["foreign"], "CAPTURE_LISTS": ["inbox"]}
        ),
    )

    def start(*arguments: str) -> Process:
        started.append(Process(python(*(arguments or ("manage.py", "listen"))), env=environment))
        return started[-1]

    yield start
    for process in started:
        process.clean_up()


def in_charge(client: redis.Redis) -> Report | None:
    """What the listener in charge says of itself."""
    return report_of(client.get(keys.heartbeat()))  # type: ignore[arg-type]


def is_in_charge(process: Process, client: redis.Redis) -> bool:
    report = in_charge(client)
    return report is not None and report.owner.split(":")[1] == str(process.pid)


def whole(alias: str, count: int) -> bool:
    """Every number once and in order, and nothing else."""
    found = stored(alias)
    return found == list(range(count)) and not Quarantine.objects.using(alias).exists()


def test_when_the_listener_in_charge_is_killed_the_other_takes_over_within_seconds(
    listen: Listen, sqlite: str, broker: TestServer
) -> None:
    client = broker.client()
    first = listen()
    eventually(lambda: is_in_charge(first, client))
    second = listen()
    second.wait_for("standing by")
    for n in range(100):
        messaging.publish("c", n)
    first.kill()
    for n in range(100, 200):
        messaging.publish("c", n)
    eventually(lambda: is_in_charge(second, client))
    eventually(lambda: whole(sqlite, 200))
    assert second.terminate() == 0


def test_told_to_end_it_hands_over_at_once_and_ends_with_0(
    listen: Listen, sqlite: str, broker: TestServer
) -> None:
    client = broker.client()
    first = listen()
    eventually(lambda: is_in_charge(first, client))
    second = listen()
    second.wait_for("standing by")
    for n in range(500):
        messaging.publish("c", n)
    assert first.terminate() == 0
    eventually(lambda: is_in_charge(second, client))
    for n in range(500, 600):
        messaging.publish("c", n)
    eventually(lambda: whole(sqlite, 600))
    assert second.terminate() == 0
    assert "Traceback" not in first.output + second.output


def test_a_listener_that_sleeps_past_its_lease_stores_and_captures_nothing_when_it_wakes(
    listen: Listen, sqlite: str, broker: TestServer
) -> None:
    client = broker.client()
    first = listen()
    eventually(lambda: is_in_charge(first, client))
    second = listen()
    second.wait_for("standing by")
    for n in range(50):
        messaging.publish("c", n)
    eventually(
        lambda: whole(sqlite, 50)
    )  # in the midst of a transaction it would sleep with SQLite's only lock
    first.signal(signal.SIGSTOP)
    for n in range(50, 100):
        messaging.publish("c", n)
    eventually(lambda: is_in_charge(second, client))
    eventually(lambda: whole(sqlite, 100))  # it has raised the fence
    fence = Cursor.objects.using(sqlite).get().fence
    eventually(lambda: client.pubsub_numsub("foreign")[0][1] == 2)  # the one that sleeps hears it, too
    for n in range(100, 150):
        client.publish("foreign", n)
    first.signal(signal.SIGCONT)
    eventually(lambda: whole(sqlite, 150))
    for n in range(150, 200):
        messaging.publish("c", n)
    eventually(lambda: whole(sqlite, 200))
    first.wait_for("standing by")
    assert is_in_charge(second, client)
    assert Cursor.objects.using(sqlite).get().fence == fence
    assert first.terminate() == second.terminate() == 0


KILLED = """
import os, signal, sys
import django
django.setup()
from messaging import relay, storage
from messaging.listener import Listener
from messaging.relay import Relay

def dies(function):
    def wrapped(self, *args, **options):
        result = function(self, *args, **options)
        if Cursor.objects.get().log_ms:  # not with the first batch
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return wrapped

from messaging.models import Cursor
where = sys.argv[1]
if where == "after the rows, before the commit":
    storage.store = dies(storage.store)
else:
    name = {"after the read": "_read", "after the commit": "_commit"}[where]
    setattr(Relay, name, dies(getattr(Relay, name)))
Listener().run()
"""


@pytest.mark.parametrize(
    "where",
    ["after the read", "after the rows, before the commit", "after the commit"],
)
def test_a_listener_killed_at_the_worst_moment_loses_and_repeats_nothing(
    listen: Listen, sqlite: str, start_listener: StartListener, where: str
) -> None:
    for n in range(10):
        messaging.publish("c", n)
    relay_all()  # the place from which the process goes on
    for n in range(10, 300):
        messaging.publish("c", n, outbox=n % 2 == 0)
    assert listen("-c", KILLED, where).wait(timeout=30) == -signal.SIGKILL
    start_listener()
    eventually(lambda: sorted(stored(sqlite)) == list(range(300)))  # type: ignore[type-var]
    eventually(lambda: not Message.objects.using(sqlite).pending().exists())
    assert whole(sqlite, 300)


def test_items_of_a_list_survive_a_kill(listen: Listen, sqlite: str, broker: TestServer) -> None:
    client = broker.client()
    process = listen()
    eventually(lambda: is_in_charge(process, client))
    for start in range(0, 5000, 100):
        client.lpush("inbox", *range(start, start + 100))
    process.kill()
    client.delete(keys.lease(), keys.heartbeat())
    last = listen()
    eventually(lambda: len(stored(sqlite)) >= 5000)
    assert whole(sqlite, 5000)
    assert last.terminate() == 0
