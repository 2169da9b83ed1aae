"""Whether entries may have been lost, told from where a reader stood and what the log holds now."""

import pytest

from messaging.continuity import REASONS, Stand, judge
from messaging.log import START, Bounds, Position

AT = Position(100, 5)
STOOD = Stand("e1", "r1", AT, 50)
NOTHING = Bounds("", 0, None, START)


def holds(
    first: Position | None, last: Position, *, entries: int = 10, added: int = 60, epoch: str = "e1"
) -> Bounds:
    return Bounds(epoch, 0 if first is None else entries, first, last, added)


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (holds(Position(1, 0), AT), True),
        (holds(AT, Position(200, 0)), True),
        (holds(None, AT), False),  # all of it was stored and then cut off
        (holds(Position(1, 0), AT), False),  # somebody deleted our entry, there is nothing behind it
        (
            holds(Position(150, 0), Position(200, 0), entries=10, added=60),
            False,
        ),  # just what we had read was cut off
    ],
)
def test_nothing_is_lost_while_our_entry_is_there_or_all_that_went_was_read(now: Bounds, found: bool) -> None:
    reason, stand, _ = judge(STOOD, now, run_id="r1", found=found)
    assert (reason, stand.epoch, stand.position) == ("", "e1", AT)


@pytest.mark.parametrize("now", [holds(Position(1, 0), Position(300, 0), epoch="e2"), NOTHING])
@pytest.mark.parametrize("found", [True, False])
def test_another_epoch_is_another_log(now: Bounds, found: bool) -> None:
    reason, stand, _ = judge(STOOD, now, run_id="r1", found=found)
    assert (reason, stand.epoch, stand.position) == ("reborn", now.epoch, START)


def test_the_first_epoch_that_is_seen_is_no_loss() -> None:
    now = holds(Position(1, 0), Position(2, 0))
    reason, stand, _ = judge(Stand("", "", START), now, run_id="r1", found=True)
    assert (reason, stand.epoch, stand.run_id, stand.position) == ("", "e1", "r1", START)


@pytest.mark.parametrize(
    "now",
    [
        holds(Position(1, 0), Position(100, 4)),  # its end is before our place
        holds(
            Position(1, 0), Position(200, 0)
        ),  # new entries, but ours is gone from between older and newer ones
        holds(None, Position(50, 0)),
    ],
)
def test_a_log_that_lost_its_end_is_read_again(now: Bounds) -> None:
    reason, stand, _ = judge(STOOD, now, run_id="r1", found=False)
    assert (reason, stand.position) == ("rolled back", START)


@pytest.mark.parametrize(("added", "one", "all_"), [(STOOD.added, 1, 11), (None, None, None)])
def test_entries_cut_off_unread_are_a_loss(added: int | None, one: int | None, all_: int | None) -> None:
    stood = STOOD._replace(added=added)
    rest = holds(Position(150, 0), Position(200, 0), entries=10, added=61)
    assert judge(stood, rest, run_id="r1", found=False) == ("trimmed", Stand("e1", "r1", START, 51), one)
    everything = holds(None, Position(200, 0), added=61)
    end = Stand("e1", "r1", Position(200, 0), 61)
    assert judge(stood, everything, run_id="r1", found=False) == ("trimmed", end, all_)


def test_a_loss_is_told_once() -> None:
    for now in (holds(Position(150, 0), Position(200, 0)), holds(None, Position(200, 0))):
        first, stand, _ = judge(STOOD._replace(added=None), now, run_id="r1", found=False)
        assert first == "trimmed"
        assert judge(stand, now, run_id="r1", found=False).reason == ""
        later = now._replace(
            entries=now.entries + 1,
            added=now.added + 1,
            last=Position(300, 0),
            first=now.first or Position(300, 0),
        )
        assert judge(stand, later, run_id="r1", found=stand.position == START).reason == ""


def test_a_server_that_was_restarted_may_have_lost_what_came_last() -> None:
    for now in (holds(Position(1, 0), AT), holds(Position(1, 0), Position(200, 0))):
        reason, stand, _ = judge(STOOD, now, run_id="r2", found=True)
        assert (reason, stand.run_id, stand.position) == ("restarted", "r2", AT)
        assert judge(stand, now, run_id="r2", found=True).reason == ""
        assert judge(STOOD, now, run_id="", found=True).reason == ""  # an ACL forbids INFO
        assert judge(STOOD._replace(run_id=""), now, run_id="r2", found=True).reason == ""


def test_every_reason_has_words() -> None:
    assert set(REASONS) == {"reborn", "rolled back", "trimmed", "restarted"}
