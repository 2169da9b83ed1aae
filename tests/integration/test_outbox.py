"""The outbox: a message of a transaction is sent if and only if that transaction is committed."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.core.handlers.base import BaseHandler
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

import messaging
from messaging import connection, keys, log, outbox, wire
from messaging.models import Gap, Message
from messaging.outbox import Sweeper
from tests.databases import elsewhere
from tests.integration.relaying import drain, logged, new_relay, pending, relay_all, stored, sweep
from tests.processes import ROOT, plain_environment
from tests.servers import TestServer

pytestmark = pytest.mark.usefixtures("broker")


@pytest.fixture(autouse=True)
def at_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweeper leaves no row to the process that wrote it; no outage of another test is remembered."""
    settings.MESSAGING = settings.MESSAGING | {"OUTBOX_GRACE_SECONDS": 0.0}
    monkeypatch.setattr(outbox._patience, "waits", False)


class RolledBack(Exception):
    """Ends a transaction."""


@contextmanager
def rolled_back(alias: str) -> Iterator[None]:
    """A transaction, or a savepoint in one, that fails at its end."""
    with suppress(RolledBack), transaction.atomic(using=alias):
        yield
        raise RolledBack


def publish(data: object, *, outbox: bool | None = None) -> messaging.Event:
    return messaging.publish("c", data, outbox=outbox)


# -- when it is sent ---------------------------------------------------------------------------------------------


def test_outside_a_transaction_it_goes_straight_to_redis(database: str) -> None:
    assert publish(1).location
    assert logged() == [1]
    assert not Message.objects.using(database).exists()


def test_inside_a_transaction_it_waits_for_the_commit(database: str) -> None:
    with transaction.atomic(using=database):
        event = publish(1)
        assert event.location is None
        assert pending(database) == [1]
        assert logged() == []
    assert logged() == [1]
    row = Message.objects.using(database).get()
    assert (row.sends, row.is_pending) == (1, True)
    relay_all()
    settled = Message.objects.using(database).get()
    assert (settled.pk, settled.event_id, settled.is_pending) == (row.pk, event.id, False)
    assert settled.location == log.newest(connection.client(), 0, count=1)[0].location


def test_the_settled_row_is_the_event_that_was_published(database: str) -> None:
    with transaction.atomic(using=database):
        event = messaging.publish(
            "c", {"a": "ü"}, type="t", key="k", correlation_id="x", causation_id="y", traceparent="z",
            time=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), headers={"h": "v", "e": ""},
        )  # fmt: skip
        binary = messaging.publish("c", b"\x00\xff")
    relay_all()
    rows = [row.as_event() for row in Message.objects.using(database).in_log_order()]
    located = [entry.location for entry in log.between(connection.client(), 0, log.START, None, count=9)]
    assert [row.location for row in rows] == located
    for row, published in zip(rows, (event, binary), strict=True):
        for field in event.__struct_fields__:
            if field != "location":
                assert getattr(row, field) == getattr(published, field), field


def test_rolled_back_it_is_never_sent(database: str) -> None:
    with rolled_back(database):
        publish(1)
    assert sweep(relay_all()) == 0
    assert (logged(), pending(database)) == ([], [])


@pytest.mark.parametrize("durable", [False, True])
def test_a_savepoint_that_is_rolled_back_takes_its_messages_with_it(database: str, durable: bool) -> None:
    with transaction.atomic(using=database, durable=durable):
        publish(1)
        with rolled_back(database):
            publish(2)
            with transaction.atomic(using=database):
                publish(3)
        publish(4)
        with transaction.atomic(using=database):
            publish(5)
    assert logged() == [1, 4, 5]
    assert pending(database) == [1, 4, 5]


def test_the_first_message_in_a_savepoint_that_is_rolled_back_does_not_keep_the_others_from_being_sent(
    database: str,
) -> None:
    with transaction.atomic(using=database):
        with rolled_back(database):
            publish(1)
        publish(2)
    assert logged() == [2]


def test_an_inner_block_is_not_a_commit(database: str) -> None:
    with rolled_back(database):
        with transaction.atomic(using=database):
            publish(1)
        assert logged() == []
    assert logged() == []


def test_a_transaction_marked_for_rollback_sends_nothing(database: str) -> None:
    with transaction.atomic(using=database):
        publish(1)
        transaction.set_rollback(True, using=database)
    assert logged() == []


def test_a_view_that_fails_under_atomic_requests_sends_nothing(database: str) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        publish(request.GET["n"])
        if request.GET["n"] == "1":
            raise ZeroDivisionError
        return HttpResponse()

    connections[database].settings_dict["ATOMIC_REQUESTS"] = True
    in_transaction = BaseHandler().make_view_atomic(view)  # type: ignore[no-untyped-call]
    for n, error in (("1", True), ("2", False)):
        request = HttpRequest()
        request.GET = request.GET.copy()
        request.GET["n"] = n
        if error:
            with pytest.raises(ZeroDivisionError):
                in_transaction(request)
        else:
            in_transaction(request)
    assert logged() == ["2"]


def test_asked_for_the_outbox_it_is_written_and_sent_at_once_outside_a_transaction(database: str) -> None:
    publish(1, outbox=True)
    assert logged() == [1]
    assert pending(database) == [1]


def test_asked_for_redis_it_is_sent_whatever_becomes_of_the_transaction(database: str) -> None:
    with rolled_back(database):
        assert publish(1, outbox=False).location
    assert logged() == [1]


def test_a_coroutine_may_ask_for_the_outbox(database: str) -> None:
    async def main() -> messaging.Event:
        try:
            return await messaging.apublish("c", 1, outbox=True)
        finally:
            await sync_to_async(connections.close_all)()

    assert asyncio.run(main()).location is None
    assert logged() == [1]
    assert pending(database) == [1]


def test_where_transactions_are_managed_by_hand_it_is_sent_after_the_commit(database: str) -> None:
    opened = connections[database]
    opened.ensure_connection()
    opened.set_autocommit(False)
    try:
        publish(1)
        opened.rollback()
        publish(2)
        assert logged() == []
        opened.commit()
    finally:
        opened.set_autocommit(True)
    assert sweep(relay_all()) == 1
    assert logged() == [2]


def test_a_transaction_of_another_database_is_none_of_its_business(database: str, tmp_path: Path) -> None:
    from tests import databases

    with (
        databases.alias("other", databases.sqlite_config(tmp_path / "other.sqlite3")),
        transaction.atomic(using="other"),
    ):
        assert publish(1).location


def test_thousands_of_messages_of_one_transaction_are_sent_in_order_with_few_queries(sqlite: str) -> None:
    with CaptureQueriesContext(connections[sqlite]) as queries:
        with transaction.atomic(using=sqlite):
            messaging.publish_many([("c", n) for n in range(4 * outbox.SEND_ROWS - 100)])
            for n in range(4 * outbox.SEND_ROWS - 100, 4 * outbox.SEND_ROWS):
                publish(n)
            written = len(queries)
        assert len(queries) - written <= 1 + 4 * 2  # the commit, then to read and to count each batch
    assert logged() == list(range(4 * outbox.SEND_ROWS))


def test_many_transactions_at_once_lose_and_repeat_nothing(database: str) -> None:
    def work(worker: int) -> None:
        try:
            for n in range(20):
                with rolled_back(database) if n % 3 == 0 else transaction.atomic(using=database):
                    publish([worker, n, 0])
                    publish([worker, n, 1])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    relay_all()
    expected = [[worker, n, k] for worker in range(4) for n in range(20) if n % 3 for k in (0, 1)]
    assert sorted(stored(database)) == expected  # type: ignore[type-var]
    assert pending(database) == []
    for worker in range(4):  # one publisher's order
        assert [each for each in stored(database) if each[0] == worker] == [  # type: ignore[index]
            each for each in expected if each[0] == worker
        ]


# -- when Redis is away, or somebody else fails ------------------------------------------------------------------


def test_with_redis_away_the_commit_succeeds_and_the_sweeper_sends_it_later(
    database: str, broker: TestServer
) -> None:
    broker.stop()
    with transaction.atomic(using=database):
        publish(1)
        publish(2)
    publish(3, outbox=True)
    assert pending(database) == [1, 2, 3]
    broker.start()
    wire.reset()
    relay = relay_all()
    assert sweep(relay) == 3
    assert sweep(relay) == 0  # the relay has not read past it yet
    drain(relay)
    assert sweep(relay) == 0
    assert stored(database) == [1, 2, 3]
    assert pending(database) == []


def test_an_outage_is_one_line_however_many_messages_wait(
    sqlite: str, broker: TestServer, caplog: pytest.LogCaptureFixture
) -> None:
    def lines() -> list[str]:
        said = [each for each in caplog.records if each.levelname == "WARNING"]
        return [each.getMessage() for each in said if "outbox" in each.getMessage()]

    def write() -> None:
        for n in range(20):
            with transaction.atomic(using=sqlite):
                publish(n)

    admin = broker.client()
    admin.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        write()
    finally:
        admin.execute_command("REPLICAOF", "NO", "ONE")
    assert len(lines()) == 1
    write()
    assert lines()[1:] == ["messages of the outbox are sent again"]


def test_a_callback_of_others_that_fails_keeps_the_message_waiting_but_loses_it_not(database: str) -> None:
    def fail() -> None:
        raise RolledBack

    with suppress(RolledBack), transaction.atomic(using=database):
        transaction.on_commit(fail, using=database)  # Django drops the callbacks behind it
        publish(1)
    assert logged() == []
    assert sweep(relay_all()) == 1
    assert logged() == [1]


def test_our_callback_never_keeps_those_of_others_from_running(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[int] = []

    def broken(*args: object, **options: object) -> int:
        raise RuntimeError("a bug in sending")

    monkeypatch.setattr(outbox, "send_rows", broken)
    with transaction.atomic(using=database):
        publish(1)
        transaction.on_commit(lambda: ran.append(1), using=database)
    assert ran == [1]


def _with_a_savepoint_rolled_back(database: str, *, then: Callable[[], None]) -> None:
    """A transaction that remembers two messages and keeps one; ``then`` happens elsewhere right after its commit."""
    with transaction.atomic(using=database):
        transaction.on_commit(lambda: elsewhere(then), using=database)
        messaging.publish("first", 1)
        with rolled_back(database):
            messaging.publish("first", 2)


def test_what_a_savepoint_took_back_leaves_no_claim_to_rows_of_others(database: str) -> None:
    """SQLite gives the key of the row that was rolled back to whoever writes next: that row was sent from here."""

    def of_another() -> None:
        with transaction.atomic(using=database):
            messaging.publish("second", 76)
        connection.client().delete(keys.log(0))  # Redis loses it
        messaging.publish("second", 77, outbox=False)

    _with_a_savepoint_rolled_back(database, then=of_another)
    assert logged() == [
        77,
        1,
    ]  # the sweeper will find that 76 is lost, after its grace, and note that it is late


def test_what_a_savepoint_took_back_sends_no_ordered_row_out_of_turn(
    database: str, settings: Settings
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"ORDERED_CHANNELS": ["ordered"]}
    messaging.publish("ordered", "first")
    _with_a_savepoint_rolled_back(database, then=lambda: messaging.publish("ordered", "second"))
    assert logged() == [1]


def test_a_log_with_little_room_takes_what_fits(database: str, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"MAX_LOG_ENTRIES": 30, "REPLAY_ENTRIES": 0}
    with transaction.atomic(using=database):
        for number in range(40):
            messaging.publish("c", number)
    assert logged() == list(range(30))
    assert Message.objects.using(database).filter(sends=1).count() == 30
    relay = relay_all()
    assert sweep(relay) == 10
    drain(relay)
    assert stored(database) == list(range(40))


KILLED = """
import os, signal
import django
django.setup()
from django.db import transaction
import messaging

with transaction.atomic():
    transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))
    messaging.publish("c", "committed")
"""


def test_a_process_killed_between_commit_and_send_is_made_up_for(
    sqlite: str, broker: TestServer, tmp_path: Path
) -> None:
    path = connections[sqlite].settings_dict["NAME"]
    done = subprocess.run(
        [sys.executable, "-c", KILLED],
        env=plain_environment(
            DJANGO_SETTINGS_MODULE="broker_site.settings",
            REDIS_URL=broker.url,
            DATABASE_URL=f"sqlite:///{path}",
            VAR_DIR=str(tmp_path),
        ),
        cwd=ROOT,
        timeout=30,
    )
    assert done.returncode == -signal.SIGKILL
    assert (logged(), pending(sqlite)) == ([], ["committed"])
    relay = relay_all()
    assert sweep(relay) == 1
    drain(relay)
    assert stored(sqlite) == ["committed"]


# -- the same id twice -------------------------------------------------------------------------------------------


def test_an_event_published_twice_under_its_own_id_is_stored_once(database: str) -> None:
    with transaction.atomic(using=database):
        messaging.publish("c", 1, id="mine")
        messaging.publish("c", 1, id="mine")
        messaging.publish_many([{"channel": "c", "data": 1, "id": "mine"}] * 2)
    relay_all()
    assert stored(database) == [1]
    with transaction.atomic(using=database):
        messaging.publish("c", 1, id="mine")
    messaging.publish("c", 1, id="mine", outbox=True)
    messaging.publish("c", 1, id="mine")
    relay_all()
    assert stored(database) == [1]
    assert pending(database) == []


# -- the sweeper -------------------------------------------------------------------------------------------------


def written_but_not_sent(alias: str, *data: object) -> None:
    """Rows of a process that died after its commit."""
    with transaction.atomic(using=alias):
        for each in data:
            publish(each)
        connections[alias].run_on_commit = []


def test_a_young_row_is_left_to_the_process_that_wrote_it(database: str, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"OUTBOX_GRACE_SECONDS": 60.0}
    written_but_not_sent(database, 1)
    relay = relay_all()
    assert sweep(relay) == 0
    Message.objects.using(database).update(queued_at=datetime.now(UTC) - timedelta(seconds=61))
    assert sweep(relay) == 1


def test_nothing_is_sent_again_while_the_relay_is_merely_behind(database: str) -> None:
    for n in range(3):
        publish(n, outbox=True)
    relay = new_relay()
    sweeper = Sweeper(connection.client())
    for _ in range(3):
        assert sweep(relay, sweeper) == 0
    publish(3, outbox=True)
    drain(relay)
    assert sweep(relay, sweeper) == 0
    assert logged() == [0, 1, 2, 3]
    assert pending(database) == []


def test_what_redis_forgot_is_sent_again_and_the_loss_is_recorded(database: str, broker: TestServer) -> None:
    publish(1, outbox=True)
    relay = relay_all()
    publish(2, outbox=True)
    publish("direct")
    broker.client().flushall()
    sweeper = Sweeper(connection.client())
    drain(relay)
    assert sweep(relay, sweeper) == 1
    drain(relay)
    assert stored(database) == [1, 2]
    (gap,) = Gap.objects.using(database).all()
    assert gap.reason == "reborn"


def test_a_log_cut_to_nothing_while_the_relay_was_stopped_loses_no_outbox_message(
    database: str, broker: TestServer
) -> None:
    publish(1, outbox=True)
    relay_all()
    publish(2, outbox=True)
    publish("direct")
    broker.client().xtrim(keys.log(0), maxlen=0, approximate=False)
    relay = relay_all()
    assert sweep(relay) == 1
    drain(relay)
    assert stored(database) == [1, 2]
    (gap,) = Gap.objects.using(database).all()
    assert gap.reason == "trimmed"
    relay_all()
    assert Gap.objects.using(database).count() == 1


@pytest.mark.parametrize("how", ["flushall", "older state"])
def test_a_log_that_goes_behind_the_barrier_does_not_hold_the_outbox_up(
    database: str, broker: TestServer, how: str
) -> None:
    """The relay never comes to the end that was noted, since that log is no more."""
    with transaction.atomic(using=database):
        publish(1)
    ours, sweeper = new_relay(), Sweeper(connection.client())
    assert sweep(ours, sweeper) == 0
    admin = broker.client()
    if how == "flushall":
        admin.flushall()
    else:
        (entry,) = log.newest(admin, 0, count=1)
        admin.delete(keys.log(0))
        admin.xgroup_create(keys.log(0), "g", mkstream=True)  # what a snapshot had: a log, but not that entry
        assert entry.position > log.bounds(admin, 0).last
    drain(ours)
    assert [sweep(ours, sweeper) for _ in range(2)] == [0, 1]
    drain(ours)
    assert stored(database) == [1]


def test_what_is_sent_again_by_every_sweep_is_told_now_and_then(
    sqlite: str, broker: TestServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, sweeper = new_relay(), Sweeper(connection.client())
    for n in range(5):
        with transaction.atomic(using=sqlite):
            publish(n)
        broker.client().flushall()
        drain(ours)
        assert sweep(ours, sweeper) == 1
        drain(ours)
    said = "%d messages of the outbox were not in the log and have been sent"
    assert [record.getMessage() for record in caplog.records if record.msg == said] == [said % 1]
    monkeypatch.setattr(sweeper, "_say_at", 0.0)
    assert [sweep(ours, sweeper) for _ in range(2)] == [0, 0]
    assert [record.getMessage() for record in caplog.records if record.msg == said] == [said % 1, said % 4]
    assert stored(sqlite) == list(range(5))


def test_a_row_that_cannot_be_sent_does_not_hold_up_the_others(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    written_but_not_sent(database, 1, 2, 3)
    first = Message.objects.using(database).earliest("pk")
    Message.objects.using(database).filter(pk=first.pk).update(attributes="not json", type="")
    relay = relay_all()
    sweeper = Sweeper(connection.client())
    assert sweep(relay, sweeper) == 2
    drain(relay)
    assert stored(database) == [2, 3]
    caplog.clear()
    for _ in range(20):
        sweep(relay, sweeper)
    assert len(caplog.records) <= 4  # rarely, from now on
    written_but_not_sent(database, 4)
    assert sweep(relay, sweeper) == 1


def test_a_large_backlog_is_sent_without_pauses(sqlite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SWEEP_ROWS", 100)
    written_but_not_sent(sqlite, *range(350))
    relay = relay_all()
    sweeper = Sweeper(connection.client())
    sent = []
    for _ in range(8):
        sent.append(sweep(relay, sweeper))
        drain(relay)
    assert [each for each in sent if each] == [100, 100, 100, 50]
    assert stored(sqlite) == list(range(350))


def test_a_row_that_the_database_keeps_refusing_to_settle_is_sent_ever_more_rarely(sqlite: str) -> None:
    publish(1, outbox=True)
    sweeper = Sweeper(connection.client())
    relay = relay_all()
    Message.objects.using(sqlite).update(log_ms=None, log_seq=None, sends=outbox.STUBBORN, event_id="changed")
    sent = 0
    for _ in range(20):
        sent += sweep(relay, sweeper)
        Message.objects.using(sqlite).filter(event_id="changed").update(log_ms=None)
        drain(relay)
        Message.objects.using(sqlite).filter(event_id="changed").update(log_ms=None)
    assert 1 <= sent <= 6  # after pauses of 1, 2, 4 ... seconds


# -- late --------------------------------------------------------------------------------------------------------


def late(alias: str) -> list[object]:
    return [row.data for row in Message.objects.using(alias).filter(late=True).order_by("pk")]


def resent(alias: str) -> dict[object, str]:
    return {row.data: row.resent for row in Message.objects.using(alias).exclude(resent="")}  # type: ignore[misc]


def test_what_was_sent_again_behind_newer_messages_is_marked_late(database: str, broker: TestServer) -> None:
    sweeper = Sweeper(connection.client())
    relay = relay_all()
    for n in (1, 2):
        with transaction.atomic(using=database):
            publish(n)
    broker.client().flushall()
    publish("newer")
    messaging.publish("other", "of another channel")
    drain(relay)
    assert sweep(relay, sweeper) == 2
    drain(relay)
    assert stored(database) == ["newer", "of another channel", 1, 2]
    assert late(database) == [1, 2]
    assert resent(database) == {1: "lost", 2: "lost"}


def test_newer_ones_in_the_same_batch_count_as_well(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    relay = relay_all()
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "_send_now", lambda ids, using: None)
        with transaction.atomic(using=database):
            publish(1)
    publish("before")
    drain(relay)
    sweeper = Sweeper(connection.client())
    assert sweep(relay, sweeper) == 1
    publish("behind")
    drain(relay)
    assert stored(database) == ["before", 1, "behind"]
    assert (late(database), resent(database)) == ([1], {1: "unsent"})


def test_what_is_sent_again_in_its_order_is_not_late(database: str, broker: TestServer) -> None:
    relay = relay_all()
    publish("older")
    drain(relay)
    with transaction.atomic(using=database):
        publish(1)
    broker.client().flushall()
    assert sweep(relay, Sweeper(connection.client())) in (0, 1)
    drain(relay)
    sweep(drain(relay))
    drain(relay)
    assert stored(database)[-1] == 1
    assert (late(database), resent(database)) == ([], {1: "lost"})


def test_what_its_own_process_sends_is_not_late(database: str) -> None:
    """A long transaction is stored behind what was published meanwhile: that is the order of commits."""
    relay = relay_all()
    with transaction.atomic(using=database):
        publish(1)
        publish("meanwhile", outbox=False)
    drain(relay)
    assert stored(database) == ["meanwhile", 1]
    assert (late(database), resent(database)) == ([], {})
