"""Gap rows -> their places in a history."""

from messaging.frames import Place
from messaging.live.losses import Loss, among
from messaging.live.ring import Item
from messaging.log import START, Position


def item(ms: int) -> Item:
    return Item.alone(0, Place("e" * 16, ms, 0), "c", b"data: %d\n\n" % ms)


def loss(behind: int, before: int) -> Loss:
    return Loss(behind, Position(behind, 0), Position(before, 0), "trimmed", b"loss %d\n\n" % behind)


def shown(items: list[Item], losses: list[Loss], *, count: int = 9, retained_ms: int | None) -> list[object]:
    return [
        each.frame.decode().strip() if each.everyone else each.own.ms
        for each in among(items, losses, count=count, retained_ms=retained_ms)
    ]


def test_each_stands_behind_the_last_that_was_there_before_it() -> None:
    items = [item(10), item(20), item(30)]
    wanted = [10, "loss 15", 20, "loss 20", 30, "loss 40"]
    assert shown(items, [loss(15, 17), loss(20, 25), loss(40, 41)], retained_ms=10) == wanted
    assert shown(items, [loss(40, 41), loss(20, 25), loss(15, 17)], retained_ms=10) == wanted


def test_what_is_older_than_the_history_is_no_part_of_it() -> None:
    assert shown([item(10), item(20)], [loss(3, 5)], retained_ms=8) == [10, 20]
    assert shown([item(10), item(20)], [loss(3, 9)], retained_ms=8) == ["loss 3", 10, 20]  # its far side is


def test_no_history_has_no_losses() -> None:
    assert shown([], [loss(3, 5)], retained_ms=1) == []
    assert shown([], [loss(3, 5)], retained_ms=None) == []


def test_a_full_history_begins_with_its_first_message_and_another_with_the_log() -> None:
    items, losses = [item(10), item(20)], [loss(6, 7)]
    assert shown(items, losses, count=2, retained_ms=5) == [10, 20]
    assert shown(items, losses, count=3, retained_ms=5) == ["loss 6", 10, 20]
    assert shown(items, losses, count=3, retained_ms=None) == [10, 20]
    assert shown(items, [loss(10, 12)], count=3, retained_ms=None) == [10, "loss 10", 20]


def test_a_position_that_was_never_known_is_before_everything() -> None:
    unknown = Loss(1, START, Position(12, 0), "trimmed", b"loss\n\n")
    assert shown([item(10)], [unknown], retained_ms=5) == ["loss", 10]
