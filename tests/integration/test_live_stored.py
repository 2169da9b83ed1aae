"""What the live page reads of the table."""

import tracemalloc
from datetime import UTC, datetime

from messaging import rows
from messaging.event import new_event
from messaging.frames import Place
from messaging.live import stored
from messaging.models import Message

SIZE = 50_000
LOGGED = 1_763_765_275_123
END = [Place("0" * 16, LOGGED + 1_000_000, 0)]


def fill(alias: str, names: list[str], each: int) -> None:
    made = []
    for number in range(each):
        for at, name in enumerate(names):
            row = rows.pending_row(new_event(name, "x" * SIZE, source="/tests"), datetime.now(UTC))
            row.queued_at, row.epoch, row.partition = None, END[0].epoch, 0
            row.log_ms, row.log_seq = LOGGED + number, at
            made.append(row)
    Message.objects.using(alias).bulk_create(made)


def test_older_rows_of_many_channels_are_the_newest_in_order(sqlite: str) -> None:
    names = [f"c{at}" for at in range(8)]
    fill(sqlite, names, 10)
    found = stored.older(names, END, 60)
    places = [(LOGGED + number, at) for number in range(9, -1, -1) for at in range(7, -1, -1)]
    assert [item.where[0][1:] for item in found] == places[:60]
    assert [item.channel for item in found[:3]] == ["c7", "c6", "c5"]
    assert stored.older(["nothing"], END, 60) == []


def test_payloads_that_are_left_out_are_not_read(sqlite: str) -> None:
    names = [f"c{at}" for at in range(8)]
    fill(sqlite, names, 10)
    stored.older(names, END, 1)
    tracemalloc.start()
    try:
        assert len(stored.older(names, END, 10)) == 10
        assert tracemalloc.get_traced_memory()[1] < 40 * SIZE  # of 80 rows that might be among them
    finally:
        tracemalloc.stop()
