"""Each Lua script on the bundled Valkey and on the system's Redis."""

from collections.abc import Sequence

import pytest
import redis
from pytest_django import Settings

from messaging import connection, keys, log, scripts, wire
from messaging.errors import BrokerFull
from tests.servers import TestServer
from tests.waiting import PATIENCE

pytestmark = pytest.mark.usefixtures("any_broker")


@pytest.fixture
def client() -> redis.Redis:
    return connection.client()


def append(*bodies: bytes, channel: bytes = b"c") -> list[str]:
    return log.append(0, [(channel, body) for body in bodies])


def bodies(client: redis.Redis, partition: int = 0) -> list[bytes | None]:
    return [entry.body for entry in log.between(client, partition, log.START, None, count=1000)]


def epoch(client: redis.Redis) -> str:
    return log.bounds(client, 0).epoch


# -- append


def test_append_returns_positions_that_grow(client: redis.Redis) -> None:
    positions = [log.Position.parse(each) for each in append(b'{"n":1}', b'{"n":2}') + append(b'{"n":3}')]
    assert positions == sorted(set(positions))
    assert [entry.position for entry in log.between(client, 0, log.START, None, count=9)] == positions
    assert bodies(client) == [b'{"n":1}', b'{"n":2}', b'{"n":3}']


def test_append_publishes_each_event_with_its_place_in_the_log(
    client: redis.Redis, any_broker: TestServer
) -> None:
    pubsub = any_broker.client().pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe("c", "ünï")
    pubsub.get_message(timeout=PATIENCE)
    pubsub.get_message(timeout=PATIENCE)
    (position,) = append(b'{"n":1}')
    (other,) = append(b'{"n":2}', channel="ünï".encode())
    heard = [pubsub.get_message(timeout=PATIENCE), pubsub.get_message(timeout=PATIENCE)]
    assert [(each["channel"], each["data"]) for each in heard if each] == [
        (b"c", f'{{"n":1,"logid":"{epoch(client)}.0.{position}"}}'.encode()),
        ("ünï".encode(), f'{{"n":2,"logid":"{epoch(client)}.0.{other}"}}'.encode()),
    ]
    pubsub.close()


def test_bytes_pass_as_they_are(client: redis.Redis) -> None:
    odd = bytes(range(256)) + b"\r\n$5\r\n%s%d"
    append(odd, channel=odd)
    assert bodies(client) == [odd]


def test_append_refuses_the_whole_batch_when_it_finds_no_room(
    client: redis.Redis, settings: Settings
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"MAX_LOG_ENTRIES": 3}
    append(b"{}", b"{}")
    with pytest.raises(BrokerFull, match="the log holds 2 of 3 entries"):
        append(b"{}", b"{}")
    assert len(bodies(client)) == 2
    append(b"{}")


def test_a_log_of_another_type_is_an_error_and_nothing_is_published(client: redis.Redis) -> None:
    client.set(keys.log(0), "something else")
    with pytest.raises(wire.BrokerRefused, match="WRONGTYPE"):
        append(b"{}")


@pytest.mark.parametrize("lost", [[keys.log], [keys.epoch], [keys.log, keys.epoch]])
def test_a_log_that_is_born_anew_has_a_new_epoch(client: redis.Redis, lost: Sequence[object]) -> None:
    append(b"{}")
    first = epoch(client)
    client.delete(*(name(0) for name in lost))  # type: ignore[operator]
    append(b"{}")
    assert epoch(client) not in ("", first)


def test_a_log_that_was_cut_to_nothing_keeps_its_epoch(client: redis.Redis) -> None:
    append(b"{}")
    first = log.bounds(client, 0)
    client.xtrim(keys.log(0), maxlen=0, approximate=False)
    assert log.bounds(client, 0) == first._replace(entries=0, first=None)
    append(b"{}")
    assert epoch(client) == first.epoch


def test_a_script_that_the_server_forgot_is_sent_again(client: redis.Redis) -> None:
    append(b'{"n":1}')
    client.script_flush()
    append(b'{"n":2}')
    client.script_flush()
    assert scripts.record(client, 0, [b'{"n":3}']) == 1
    assert bodies(client) == [b'{"n":1}', b'{"n":2}', b'{"n":3}']


# -- record


def test_record_appends_without_publishing(client: redis.Redis, any_broker: TestServer) -> None:
    pubsub = any_broker.client().pubsub(ignore_subscribe_messages=True)
    pubsub.psubscribe("*")
    pubsub.get_message(timeout=PATIENCE)
    assert scripts.record(client, 0, [b"1", b"2"]) == 2
    client.publish("end", "")
    heard = pubsub.get_message(timeout=PATIENCE)
    assert heard is not None
    assert heard["channel"] == b"end"
    assert bodies(client) == [b"1", b"2"]
    assert len(epoch(client)) == 16
    pubsub.close()


def test_record_takes_as_many_as_find_room_and_makes_no_epoch_for_none(
    client: redis.Redis, settings: Settings
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"MAX_LOG_ENTRIES": 3}
    assert scripts.record(client, 0, [b"1", b"2", b"3", b"4"]) == 3
    client.delete(keys.epoch(0))
    assert scripts.record(client, 0, [b"4"]) == 0
    assert not client.exists(keys.epoch(0))


# -- peek and move


def test_peek_shows_the_right_end_and_takes_nothing(client: redis.Redis) -> None:
    assert scripts.peek(client, "inbox", most=2, most_bytes=100) == []
    client.lpush("inbox", "1", "2", "3")
    assert scripts.peek(client, "inbox", most=2, most_bytes=100) == [b"1", b"2"]
    assert client.llen("inbox") == 3
    client.delete("inbox")


def test_peek_is_bounded_in_bytes_but_shows_one_item_at_least(client: redis.Redis) -> None:
    client.rpush("inbox", "a" * 10, "b" * 10, "c" * 200)
    assert scripts.peek(client, "inbox", most=9, most_bytes=100) == [b"c" * 200]
    client.rpop("inbox")
    assert scripts.peek(client, "inbox", most=9, most_bytes=15) == [b"b" * 10]
    assert scripts.peek(client, "inbox", most=9, most_bytes=20) == [b"b" * 10, b"a" * 10]
    client.delete("inbox")


def test_move_takes_each_item_as_it_enters_the_log(client: redis.Redis) -> None:
    client.lpush("inbox", "1", "2", "3")
    assert scripts.move(client, "inbox", 0, [(b"1", b"e1"), (b"2", b"e2")]) == 2
    assert client.lrange("inbox", 0, -1) == [b"3"]
    assert bodies(client) == [b"e1", b"e2"]
    client.delete("inbox")


def test_move_stops_at_an_item_that_somebody_else_has_taken(client: redis.Redis) -> None:
    client.lpush("inbox", "2", "3")
    assert scripts.move(client, "inbox", 0, [(b"1", b"e1"), (b"2", b"e2")]) == 0
    client.lpush("inbox", "3", "3")
    assert scripts.move(client, "inbox", 0, [(b"2", b"e2"), (b"3", b"e3"), (b"4", b"e4")]) == 2
    assert bodies(client) == [b"e2", b"e3"]
    client.delete("inbox")


def test_move_from_an_empty_list_moves_nothing_and_makes_no_epoch(client: redis.Redis) -> None:
    assert scripts.move(client, "inbox", 0, [(b"1", b"e1")]) == 0
    assert client.dbsize() == 0


def test_an_item_stays_in_the_list_when_the_log_has_no_room_or_is_no_log(
    client: redis.Redis, settings: Settings
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"MAX_LOG_ENTRIES": 1}
    client.lpush("inbox", "1", "2")
    assert scripts.move(client, "inbox", 0, [(b"1", b"e1"), (b"2", b"e2")]) == 1
    assert client.lrange("inbox", 0, -1) == [b"2"]
    client.delete(keys.log(0))
    client.set(keys.log(0), "something else")
    with pytest.raises(redis.ResponseError):
        scripts.move(client, "inbox", 0, [(b"2", b"e2")])
    assert client.lrange("inbox", 0, -1) == [b"2"]
    client.delete("inbox")


# -- trim


def trim(
    client: redis.Redis, position: str, *, keep: int, crowded: int = 10_000, seconds: float = 0.0
) -> int:
    return scripts.trim(client, 0, keep=keep, position=position, crowded=crowded, seconds=seconds)


def test_trim_keeps_the_replay_window(client: redis.Redis) -> None:
    positions = append(*[b"{}"] * 300)
    assert trim(client, positions[-1], keep=300) == 0
    assert trim(client, positions[-1], keep=120) == 180
    assert [str(entry.position) for entry in log.between(client, 0, log.START, None, count=999)] == positions[
        180:
    ]


def test_trim_never_takes_what_is_unread_nor_the_readers_own_entry(client: redis.Redis) -> None:
    positions = append(*[b"{}"] * 300)
    assert trim(client, positions[249], keep=10) == 249  # 50 unread
    first = log.bounds(client, 0).first
    assert str(first) == positions[249]
    assert trim(client, positions[-1], keep=0) == 50
    assert log.bounds(client, 0).entries == 1


def test_trim_gives_up_the_window_for_room_when_the_reader_is_far_behind(client: redis.Redis) -> None:
    positions = append(*[b"{}"] * 300)
    assert trim(client, positions[99], keep=50, crowded=300) == 0
    assert trim(client, positions[99], keep=50, crowded=299) == 99
    assert str(log.bounds(client, 0).first) == positions[99]
    assert trim(client, "0-0", keep=50, crowded=100) == 0


def test_trim_keeps_nothing_that_is_too_old_but_the_readers_own_entry(client: redis.Redis) -> None:
    hour_ago = int(client.time()[0]) * 1000 - 3_600_000
    old = [f"{hour_ago}-{n}" for n in range(10)]
    for position in old:
        client.xadd(keys.log(0), {"e": b"{}"}, id=position)
    young = append(b"{}", b"{}")
    assert trim(client, young[-1], keep=100, seconds=4000) == 0
    assert trim(client, old[6], keep=100, seconds=3000) == 6
    assert str(log.bounds(client, 0).first) == old[6]
    assert trim(client, "0-0", keep=100, seconds=3000) == 0
    assert trim(client, young[-1], keep=100, seconds=3000) == 4
    assert trim(client, young[-1], keep=1, seconds=3000) == 1


def test_trim_of_a_log_that_is_not_there_is_nothing(client: redis.Redis) -> None:
    assert trim(client, "0-0", keep=0) == 0


# -- lease


def test_one_owner_holds_the_lease_until_it_ends_or_is_given_back(client: redis.Redis) -> None:
    holder, token = scripts.take_lease(client, "a", seconds=60)
    assert holder == "a"
    assert scripts.take_lease(client, "b", seconds=60) == ("a", token)
    assert scripts.take_lease(client, "a", seconds=30) == ("a", token)
    assert 0 < client.pttl(keys.lease()) <= 30_000
    client.set(keys.heartbeat(), "alive", px=60_000)
    assert not scripts.release_lease(client, "b")
    assert client.exists(keys.heartbeat())
    assert scripts.release_lease(client, "a")
    assert not client.exists(keys.heartbeat())
    holder, higher = scripts.take_lease(client, "b", seconds=60)
    assert (holder, higher > token) == ("b", True)
    client.delete(keys.lease())
    assert scripts.take_lease(client, "b", seconds=60)[1] > higher  # it had lost it in between
    client.delete(keys.lease(), keys.tokens())  # a server that forgot goes on by its clock
    assert scripts.take_lease(client, "c", seconds=60)[1] > higher
    client.delete(keys.lease())


def test_tokens_grow_though_the_clock_was_set_back(client: redis.Redis) -> None:
    client.set(keys.tokens(), 9 * 10**15)
    assert scripts.take_lease(client, "a", seconds=60) == ("a", 9 * 10**15 + 1)
    client.delete(keys.lease())


def test_a_fence_refuses_whoever_has_a_lower_token(client: redis.Redis) -> None:
    assert scripts.take_partition(client, 0, 7)
    assert scripts.take_partition(client, 0, 7)
    assert not scripts.take_partition(client, 0, 6)
    client.lpush("inbox", "1")
    assert scripts.record(client, 0, [b"old"], token=6) == -1
    assert scripts.move(client, "inbox", 0, [(b"1", b"old")], token=6) == -1
    assert client.xlen(keys.log(0)) == 0
    assert scripts.record(client, 0, [b"new"], token=7) == 1
    assert scripts.move(client, "inbox", 0, [(b"1", b"new")], token=8) == 1


# -- the log, read


def test_entries_are_read_from_any_place_in_both_directions(client: redis.Redis) -> None:
    positions = [log.Position.parse(each) for each in append(*[b"%d" % n for n in range(10)])]
    assert [entry.body for entry in log.read(client, 0, positions[3], count=3)] == [
        b"4",
        b"5",
        b"6",
    ]
    assert log.read(client, 0, positions[-1], count=3) == []
    assert [entry.body for entry in log.newest(client, 0, count=2)] == [b"9", b"8"]
    assert [entry.body for entry in log.newest(client, 0, count=2, before=positions[5])] == [b"4", b"3"]
    assert [entry.body for entry in log.between(client, 0, positions[2], positions[4], count=9)] == [
        b"2",
        b"3",
        b"4",
    ]
    bounds = log.bounds(client, 0)
    assert (bounds.entries, bounds.first, bounds.last) == (10, positions[0], positions[-1])


def test_an_entry_that_is_not_ours_is_read_with_all_its_bytes(client: redis.Redis) -> None:
    client.xadd(keys.log(0), {"a": "1", b"\xff": b"\x00"}, id="7-1")
    (entry,) = log.read(client, 0, log.START, count=9)
    assert (entry.location, entry.body, entry.raw) == ("0.7-1", None, b"a 1 \xff \x00")


def test_bounds_raise_what_the_server_says(client: redis.Redis) -> None:
    client.set(keys.log(0), "something else")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        log.bounds(client, 0)


@pytest.mark.parametrize("text", ["", "1", "1-", "-1", "a-0", "1-0-0", "+", "1 -0", "9" * 21 + "-0"])
def test_a_position_is_two_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="not a position"):
        log.Position.parse(text)
