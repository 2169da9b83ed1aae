"""Pruning: what is too old or too many goes, what may come again or waits stays, and it can be ended at any moment."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from redis.exceptions import RedisError

from messaging import connection, keys, pruner, rows
from messaging.event import encode, new_event
from messaging.log import START, Bounds, Position
from messaging.models import Message
from messaging.relay import Relay
from tests.integration.conftest import StartListener
from tests.servers import TestServer
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("broker")

HOUR = 3_600_000
DAY = 24 * HOUR
NOW = 0  # milliseconds, when the test begins


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "NOW", int(datetime.now(UTC).timestamp() * 1000))


def stored(using: str, *ages: float, partition: int = 0, epoch: str = "0" * 16) -> None:
    """Rows that Redis took so many days ago."""
    made = []
    for number, age in enumerate(ages):
        row = rows.pending_row(new_event("orders", {"age": age}, source="/tests"), datetime.now(UTC))
        row.queued_at, row.epoch, row.partition = None, epoch, partition
        row.log_ms, row.log_seq, row.stored_at = int(NOW - age * DAY), number, datetime.now(UTC)
        made.append(row)
    Message.objects.using(using).bulk_create(made)


def ages(using: str, **of: Any) -> list[float]:
    return [row.data["age"] for row in Message.objects.using(using).filter(**of).stored().in_log_order()]


def pruned(**limits: Any) -> pruner.Pruned:
    return list(pruner.prune(connection.client(), **{"days": 0, "rows": 0} | limits))[-1]


def entry(broker: TestServer, ms: int, partition: int = 0) -> None:
    """An entry of the log at this time."""
    broker.client().set(keys.epoch(partition), "0" * 16)
    broker.client().xadd(keys.log(partition), {"e": "{}"}, id=f"{ms}-0")


# -- which rows ---------------------------------------------------------------------------------------------------


def test_rows_older_than_so_many_days_go(database: str, broker: TestServer) -> None:
    entry(broker, NOW)
    stored(database, 40, 31, 29, 1)
    assert pruned(days=30) == (2, Position(NOW - 31 * DAY, 1), None)
    assert ages(database) == [29, 1]


def test_all_but_the_newest_rows_go(database: str, broker: TestServer) -> None:
    entry(broker, NOW)
    stored(database, *range(20, 0, -1))
    assert pruned(rows=7).removed == 13
    assert ages(database) == [7, 6, 5, 4, 3, 2, 1]
    assert pruned(rows=7).removed == 0
    assert pruned(rows=8).removed == 0


def test_either_limit_counts(database: str, broker: TestServer) -> None:
    entry(broker, NOW)
    stored(database, 9, 8, 7, 2, 1)
    assert pruned(days=7.5, rows=4).removed == 2
    assert pruned(days=7.5, rows=2).removed == 1
    assert ages(database) == [2, 1]


def test_without_a_limit_nothing_goes(database: str, broker: TestServer) -> None:
    entry(broker, NOW)
    stored(database, 4000)
    assert pruned() == (0, START, None)


def test_what_waits_in_the_outbox_stays(database: str, broker: TestServer) -> None:
    entry(broker, NOW)
    stored(database, 9)
    old = datetime.fromtimestamp(0, UTC)
    rows.pending_row(new_event("orders", 1, source="/tests", time=old), old).save(using=database)
    assert pruned(days=1, rows=1).removed == 1
    assert Message.objects.using(database).get().is_pending


def test_what_the_log_may_bring_again_stays(database: str, broker: TestServer) -> None:
    entry(broker, NOW - 5 * DAY)
    stored(database, 7, 6, 5 + 0.9 / 24, 5, 4)
    assert pruned(days=1).removed == 2
    assert ages(database) == [5 + 0.9 / 24, 5, 4]
    assert pruned(days=1).held == (NOW - 5 * DAY - HOUR, 0)
    assert pruned(days=6).held is None


def test_what_is_younger_than_an_hour_stays(database: str, broker: TestServer) -> None:
    entry(broker, NOW + DAY)  # a clock that was set back since
    stored(database, 1.5 / 24, 0.9 / 24)
    assert pruned(days=0.001).removed == 1
    assert ages(database) == [0.9 / 24]


def test_a_log_read_again_from_its_start_stores_nothing_twice(database: str, broker: TestServer) -> None:
    """What all this is for: twenty messages, one each half hour, the log keeps ten of them and is read again."""
    client = broker.client()
    client.set(keys.epoch(0), "0" * 16)
    for n in range(20):
        body = encode(new_event("orders", {"age": n}, source="/tests"))
        client.xadd(keys.log(0), {"e": body}, id=f"{NOW - (20 - n) * HOUR // 2}-0")
    relay = Relay(connection.client(), 0)
    relay.take_over()
    relay.step(block_ms=1)
    relay.step(block_ms=1)
    assert ages(database) == list(range(20))
    client.xtrim(keys.log(0), maxlen=10, approximate=False)
    assert pruned(rows=3).removed == 8  # and not 17
    client.set(keys.epoch(0), "f" * 16)
    for _ in range(3):
        relay.step(block_ms=1)
    assert ages(database) == list(range(8, 20))


@pytest.mark.parametrize("when", ["not born", "deleted"])
def test_a_log_that_is_not_there_keeps_every_row(database: str, broker: TestServer, when: str) -> None:
    if when == "deleted":
        entry(broker, NOW)
        broker.client().flushall()
    stored(database, 9)
    assert pruned(days=1) == (0, START, START)
    assert ages(database) == [9]


def test_each_partition_is_judged_by_its_own_log(
    database: str, broker: TestServer, settings: Settings
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"PARTITIONS": 2}
    entry(broker, NOW)
    entry(broker, NOW - 8 * DAY, partition=1)
    stored(database, *[9, 8.5, 7, 6], partition=0)
    stored(database, *[9, 8.5, 7, 6], partition=1)
    stored(database, 9, 7, partition=5)  # not in use any more, and its log is gone
    result = pruned(days=1)
    assert result.removed == 8
    assert ages(database) == [7, 6]
    assert ages(database, partition=1) == [7, 6]


def test_rows_of_an_earlier_life_of_the_log_go_too(database: str, broker: TestServer) -> None:
    entry(broker, NOW)
    stored(database, 9, epoch="f" * 16)
    assert pruned(days=1).removed == 1


@pytest.mark.parametrize(
    ("bounds", "in_use", "expected"),
    [
        (Bounds("e", 3, Position(9 * HOUR, 7), Position(10 * HOUR, 0)), True, 8 * HOUR),
        (
            Bounds("e", 3, Position(99 * HOUR, 0), Position(99 * HOUR, 0)),
            True,
            9 * HOUR,
        ),  # a clock ahead of ours
        (Bounds("e", 3, Position(60_000, 0), Position(9 * HOUR, 0)), True, 0),
        (Bounds("e", 0, None, Position(9 * HOUR, 0)), True, 9 * HOUR),  # trimmed to nothing
        (Bounds("", 0, None, START), True, 0),
        (Bounds("", 0, None, START), False, 9 * HOUR),
    ],
)
def test_before_which_position_nothing_comes_again(bounds: Bounds, in_use: bool, expected: int) -> None:
    assert pruner.safe_before(bounds, now_ms=10 * HOUR, in_use=in_use) == (expected, 0)


# -- how ----------------------------------------------------------------------------------------------------------


def test_ended_between_two_batches_it_goes_on_with_the_next_call(
    database: str, broker: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruner, "BATCH_ROWS", 10)
    entry(broker, NOW)
    stored(database, *range(45, 0, -1))
    running = pruner.prune(connection.client(), days=2.5, rows=0)
    assert [next(running).removed for _ in range(2)] == [10, 20]
    running.close()
    assert len(ages(database)) == 25
    assert pruned(days=2.5).removed == 23
    assert ages(database) == [2, 1]


def test_a_redis_that_goes_away_meanwhile_ends_it(
    database: str, broker: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruner, "BATCH_ROWS", 10)
    entry(broker, NOW)
    stored(database, *range(45, 0, -1))
    running = pruner.prune(connection.client(), days=2, rows=0)
    next(running)
    broker.kill()
    with pytest.raises(RedisError):
        next(running)
    assert len(ages(database)) == 35
    broker.revive()


def test_a_dry_run_counts_and_removes_nothing(database: str, broker: TestServer) -> None:
    entry(broker, NOW)
    stored(database, *range(20, 0, -1))
    assert pruned(days=4.5, dry_run=True).removed == 16
    assert len(ages(database)) == 20


def test_a_batch_is_one_statement_by_ids(database: str, broker: TestServer) -> None:
    entry(broker, NOW)
    stored(database, *range(20, 10, -1))
    with CaptureQueriesContext(connections[database]) as queries:
        assert pruned(days=1).removed == 10
    deletes = [query["sql"] for query in queries if "DELETE" in query["sql"]]
    assert len(deletes) == 1
    assert "COUNT" not in str(queries.captured_queries)


@pytest.mark.parametrize("statement", ["PAGE", "NEWEST"])
def test_queries_read_the_index_of_positions_and_sort_nothing(database: str, statement: str) -> None:
    stored(database, *(n / 100 for n in range(3000)))
    values: dict[str, list[int]] = {"PAGE": [NOW, 0, 0, 0, 0, 500], "NEWEST": [1000]}
    with connections[database].cursor() as cursor:
        if cursor.db.vendor == "postgresql":
            cursor.execute("ANALYZE")
        explain = "EXPLAIN " if cursor.db.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
        cursor.execute(explain + getattr(pruner, statement), values[statement])
        plan = "\n".join(str(line) for line in cursor.fetchall())
    assert "messaging_message_log" in plan
    whole = r"Seq Scan|SCAN messaging_message(?! USING)|TEMP B-TREE|(?<!Incremental )Sort\b(?! Key)"
    assert not re.search(whole, plan), plan


# -- by the listener and by the command ---------------------------------------------------------------------------


def test_the_listener_in_charge_prunes_when_the_settings_ask_for_it(
    database: str, broker: TestServer, settings: Settings, start_listener: StartListener
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"PRUNE_DAYS": 5}
    entry(broker, NOW)
    stored(database, 9, 8, 1)
    start_listener()
    eventually(lambda: ages(database) == [1], message="old rows are gone")


def test_the_listener_prunes_nothing_by_default(sqlite: str, start_listener: StartListener) -> None:
    running = start_listener()
    assert "messaging-pruning" not in [loop.name for loop in running.listener._loops]


Call = Callable[..., tuple[int, str]]


@pytest.fixture
def prune(capsys: pytest.CaptureFixture[str]) -> Call:
    """`prune("--days", "3")` -> exit code, what it said."""

    def call(*arguments: str) -> tuple[int, str]:
        code: Any = 0
        try:
            call_command("messaging", "prune", *arguments)
        except SystemExit as end:
            code = end.code
        return code, capsys.readouterr().err

    return call


def test_the_command_says_what_it_did_and_what_stays(sqlite: str, broker: TestServer, prune: Call) -> None:
    entry(broker, NOW - 2 * DAY)
    stored(sqlite, 9, 8, 1.5)
    code, said = prune("--days", "1", "--dry-run")
    assert (code, said.splitlines()[0]) == (0, "2 rows would be pruned.")
    code, said = prune("--days", "1")
    assert (code, said.splitlines()[0]) == (0, "2 rows pruned.")
    assert "on stay, whatever the limits" in said
    assert ages(sqlite) == [1.5]


def test_the_command_follows_the_settings(
    sqlite: str, broker: TestServer, settings: Settings, prune: Call
) -> None:
    entry(broker, NOW)
    stored(sqlite, 9, 8, 1)
    assert prune() == (
        2,
        "Nothing to prune by: give --days or --rows, or set MESSAGING['PRUNE_DAYS'] or ['PRUNE_ROWS'].\n",
    )
    settings.MESSAGING = settings.MESSAGING | {"PRUNE_ROWS": 1}
    assert prune("--rows", "2") == (0, "1 row pruned.\n")
    assert prune() == (0, "1 row pruned.\n")


def test_the_command_prunes_nothing_while_redis_is_away(sqlite: str, broker: TestServer, prune: Call) -> None:
    stored(sqlite, 9)
    broker.kill()
    code, said = prune("--days", "1")
    assert code == 1
    assert said.startswith("0 rows pruned: Redis cannot be asked what the log still holds (")
    assert ages(sqlite) == [9]
    broker.revive()


@pytest.mark.parametrize(
    "arguments", [("--days", "-1"), ("--days", "nan"), ("--rows", "1.5"), ("--rows", "x")]
)
def test_numbers_that_are_none_are_refused(arguments: tuple[str, str], prune: Call) -> None:
    with pytest.raises(Exception, match="not a number of"):
        prune(*arguments)
