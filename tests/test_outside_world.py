"""Programs that know Redis and nothing of us: what they send becomes rows, what we publish they hear."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator

import pytest

from messaging import publish
from tests.conftest import Manage
from tests.missing import replaced
from tests.processes import Process, plain_environment
from tests.servers import TestServer
from tests.sites import Database
from tests.stored import Stored, stored
from tests.waiting import eventually

Cli = Callable[..., str]


@pytest.fixture
def cli(broker: TestServer, request: pytest.FixtureRequest) -> Cli:
    """`cli("PUBLISH", "updates", "tea")`: what redis-cli answers, as a real process; else a plain client's answer."""
    binary = shutil.which("redis-cli")
    if binary is None:
        replaced(request.node, "redis-cli, instead of it redis-py was used", "Debian package redis-tools")
        return lambda *words: str(broker.client().execute_command(*words))

    def ask(*words: str) -> str:
        command = [binary, "-s", str(broker.socket), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.rstrip(
            "\n"
        )

    return ask


@pytest.fixture
def listener(manage: Manage, broker: TestServer) -> Process:
    """`manage.py listen '*' --list inbox`, subscribed."""
    process = manage("listen", "*", "--list", "inbox")
    eventually(lambda: broker.client().pubsub_numpat(), message="subscribed")
    return process


@pytest.fixture
def rows(database_copy: Database) -> Callable[..., list[Stored]]:
    """What is stored."""
    return lambda channel="*": stored(database_copy.path, channel)


Rows = Callable[..., list[Stored]]


@pytest.mark.usefixtures("listener")
def test_redis_cli_publish_becomes_a_row(cli: Cli, rows: Rows) -> None:
    assert int(cli("PUBLISH", "updates", "New data available")) >= 1
    (row,) = eventually(rows)
    assert (row.channel, row.data, row.source) == ("updates", "New data available", "/redis/pubsub")


@pytest.mark.usefixtures("listener")
def test_redis_cli_lpush_arrives_in_order(cli: Cli, rows: Rows, broker: TestServer) -> None:
    cli("LPUSH", "inbox", "task1")
    cli("LPUSH", "inbox", "task2")
    eventually(lambda: len(rows("inbox")) == 2)
    assert [row.data for row in rows("inbox")] == ["task1", "task2"]
    assert {row.source for row in rows("inbox")} == {"/redis/list"}
    assert not broker.client().exists("inbox")


def test_what_waits_in_a_list_is_taken_when_the_listener_comes(
    cli: Cli, manage: Manage, rows: Rows, broker: TestServer
) -> None:
    cli("LPUSH", "inbox", "task1", "task2", "task3")
    manage("listen", "--list", "inbox")
    eventually(lambda: len(rows("inbox")) == 3)
    assert [row.data for row in rows("inbox")] == ["task1", "task2", "task3"]


def test_the_settings_of_the_site_capture_every_channel_and_the_inbox(
    cli: Cli, manage: Manage, rows: Rows, broker: TestServer
) -> None:
    manage("listen")
    eventually(lambda: broker.client().pubsub_numpat())
    cli("PUBLISH", "any.channel.at.all", '{"n": 1}')
    cli("LPUSH", "inbox", "task1")
    eventually(lambda: len(rows()) == 2)
    assert {row.channel: row.data for row in rows()} == {"any.channel.at.all": {"n": 1}, "inbox": "task1"}


Hear = Callable[[], str]


@pytest.fixture
def hear(broker: TestServer, request: pytest.FixtureRequest) -> Iterator[Hear]:
    """`redis-cli SUBSCRIBE updates`, subscribed; `hear()` waits for the next message."""
    binary = shutil.which("redis-cli")
    if binary is None:
        replaced(request.node, "redis-cli, instead of it redis-py was used", "Debian package redis-tools")
        pubsub = broker.client(decode_responses=True).pubsub(ignore_subscribe_messages=True)
        pubsub.subscribe("updates")
        yield lambda: str(next(pubsub.listen())["data"])
        pubsub.close()
        return
    # redis-cli writes to a pipe in blocks; line by line it writes to a terminal only.
    process = Process(
        [binary, "-s", str(broker.socket), "SUBSCRIBE", "updates"], env=plain_environment(), tty=True
    )
    process.wait_for("subscribe")

    def heard() -> str:
        quoted = process.wait_for(r'3\) "(.*)"')[1]
        return re.sub(
            rb"\\x([0-9a-f]{2})", lambda byte: bytes.fromhex(byte[1].decode()), quoted.encode()
        ).decode()

    yield heard
    process.clean_up()


def test_redis_cli_subscribe_hears_what_we_publish(hear: Hear) -> None:
    event = publish("updates", {"tea": "für zwei"})
    heard = json.loads(hear().replace('\\"', '"'))
    assert (heard["id"], heard["subject"], heard["data"]) == (event.id, "updates", {"tea": "für zwei"})
    assert heard["logid"].endswith(str(event.location))


@pytest.mark.usefixtures("listener")
def test_our_own_messages_are_stored_once_although_the_listener_hears_them(
    rows: Rows, manage: Manage, broker: TestServer
) -> None:
    for number in range(20):
        publish("updates", number)
    broker.client().publish("updates", "the last one, from outside")
    eventually(lambda: rows() and rows()[-1].data == "the last one, from outside")
    assert [row.data for row in rows()[:-1]] == list(range(20))


def test_large_foreign_messages_in_a_burst_keep_the_subscription(
    broker: TestServer, listener: Process, rows: Rows
) -> None:
    texts = [f"{number} " + "x" * 150_000 for number in range(60)]
    client = broker.client()
    for text in texts:
        client.publish("large", text)
    eventually(lambda: len(rows("large")) == len(texts))
    assert [row.data for row in rows("large")] == texts
    assert "away" not in listener.output
