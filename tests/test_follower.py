"""Following the log: nothing passed over, and a word about each loss."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from messaging import connection, keys, publish, publish_many
from messaging.log import START, Entry, Position
from messaging.terminal.follower import Follower, Lost
from tests.servers import TestServer


@pytest.fixture
def follower(broker: TestServer) -> Iterator[Follower]:
    return Follower(connection.client())


def numbers(found: list[Entry | Lost]) -> list[object]:
    return [each if isinstance(each, Lost) else each.event().data for each in found]


def publish_numbers(*those: int, channel: str = "numbers") -> Position:
    """The position of the last."""
    location = publish_many((channel, number) for number in those)[-1].location
    assert location is not None
    return Position.parse(location.partition(".")[2])


def test_from_the_end_it_reads_what_comes(follower: Follower) -> None:
    publish_numbers(1, 2)
    follower.start_at_end()
    assert follower.read() == []
    publish_numbers(3, 4)
    assert numbers(follower.read()) == [3, 4]
    assert follower.read() == []


def test_before_the_end_stands_the_history_newest_first(follower: Follower) -> None:
    publish_numbers(*range(450))  # more than two pages
    follower.start_at_end()
    publish_numbers(450)
    assert [entry.event().data for entry in follower.before()] == list(range(449, -1, -1))


def test_from_a_position_on(follower: Follower) -> None:
    position = publish_numbers(1, 2)
    publish_numbers(3)
    follower.start_at(position)
    assert numbers(follower.read()) == [3]


def test_many_are_read_in_bounded_steps_and_once(follower: Follower) -> None:
    publish_numbers(*range(1800))
    follower.start_at(START)
    read, largest = [], 0
    while found := follower.read():
        read += numbers(found)
        largest = max(largest, len(found))
    assert read == list(range(1800))
    assert largest == 500


def test_a_log_that_is_not_born_yet(follower: Follower) -> None:
    follower.start_at_end()
    assert follower.read() == []
    publish_numbers(1)
    assert numbers(follower.read() + follower.read()) == [1]


def test_all_partitions_in_the_order_of_time(broker: TestServer, settings: Settings) -> None:
    settings.MESSAGING = settings.MESSAGING | {"PARTITIONS": 3}
    follower = Follower(connection.client())
    for number in range(30):
        publish(f"channel{number}", number)
        broker.client().time()
    follower.start_at_end()
    history = [entry.event().data for entry in follower.before()]
    assert sorted(history) == list(range(30))
    follower.start_at(START)
    found = follower.read()
    positions = [each.position for each in found if isinstance(each, Entry)]
    assert len(positions) == 30
    assert positions == sorted(positions)


# -- losses


def test_trimmed_under_a_slow_reader_is_told_with_its_number(broker: TestServer, follower: Follower) -> None:
    publish_numbers(1)
    follower.start_at_end()
    assert follower.read() == []
    publish_numbers(2, 3, 4, 5)
    broker.client().xtrim(keys.log(0), maxlen=1, approximate=False)
    assert numbers(follower.read()) == [Lost(0, "trimmed", 3), 5]
    publish_numbers(6)
    assert numbers(follower.read()) == [6]


def test_trimmed_to_nothing_is_told(broker: TestServer, follower: Follower) -> None:
    publish_numbers(1)
    follower.start_at_end()
    assert follower.read() == []
    publish_numbers(2, 3)
    broker.client().xtrim(keys.log(0), maxlen=0, approximate=False)
    assert numbers(follower.read()) == [Lost(0, "trimmed", 2)]
    assert follower.read() == []


def test_trimming_what_has_been_read_is_no_loss(broker: TestServer, follower: Follower) -> None:
    follower.start_at(START)
    publish_numbers(1, 2, 3)
    assert numbers(follower.read() + follower.read()) == [1, 2, 3]
    broker.client().xtrim(keys.log(0), maxlen=0, approximate=False)
    publish_numbers(4)
    assert numbers(follower.read()) == [4]


def test_a_start_before_the_oldest_entry_is_told(broker: TestServer, follower: Follower) -> None:
    position = publish_numbers(1)
    publish_numbers(2, 3)
    broker.client().xtrim(keys.log(0), maxlen=1, approximate=False)
    follower.start_at(position)
    assert numbers(follower.read()) == [Lost(0, "trimmed", None), 3]


def test_a_log_born_anew_is_told_and_read_from_its_start(broker: TestServer, follower: Follower) -> None:
    publish_numbers(1, 2)
    follower.start_at_end()
    assert follower.read() == []
    broker.client().flushall()
    publish_numbers(3, 4)
    assert numbers(follower.read() + follower.read()) == [Lost(0, "reborn", None), 3, 4]


def test_a_server_that_came_back_knowing_less_is_told(broker: TestServer, follower: Follower) -> None:
    position = publish_numbers(1, 2)
    follower.start_at_end()
    assert follower.read() == []
    epoch = broker.client().get(keys.epoch(0))
    broker.client().delete(keys.log(0))
    broker.client().xadd(keys.log(0), {"e": b"{}"}, id="1-0")  # a replica that was behind, promoted
    assert position > START
    assert broker.client().get(keys.epoch(0)) == epoch
    assert numbers(follower.read()) == [Lost(0, "reborn", None)]
    publish_numbers(3)
    assert numbers(follower.read()) == [3]


def test_large_entries_are_read_few_at_a_time(follower: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("messaging.terminal.follower.BATCH_BYTES", 40_000)
    publish_many(("large", "x" * 1000) for _ in range(120))
    follower.start_at(START)
    steps = []
    while found := follower.read():
        steps.append(len(found))
    assert sum(steps) == 120
    assert max(steps) == steps[0] == 50
    assert 30 < max(steps[1:]) < 40
