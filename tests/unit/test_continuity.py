"""Whether entries may have been lost, told from where a reader stood and what the log holds now."""

import pytest

from messaging.continuity import REASONS, Stand, Verdict, judge
from messaging.log import START, Bounds, Position

AT = Position(100, 5)
STOOD = Stand("e1", "r1", AT)


def log_of(first: Position | None, last: Position, epoch: str = "e1") -> Bounds:
    return Bounds(epoch, 0 if first is None else 10, first, last)


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (log_of(Position(1, 0), AT), True),
        (log_of(AT, Position(200, 0)), True),
        (log_of(None, AT), False),  # all of it was stored and then cut off
        (log_of(Position(1, 0), AT), False),  # somebody deleted our entry, there is nothing behind it
    ],
)
def test_nothing_is_lost_while_our_entry_is_there_or_nothing_came_after_it(now: Bounds, found: bool) -> None:
    assert judge(STOOD, now, run_id="r1", found=found) == Verdict("", AT)


@pytest.mark.parametrize("now", [log_of(Position(1, 0), Position(300, 0), "e2"), Bounds("", 0, None, START)])
def test_another_epoch_is_another_log(now: Bounds) -> None:
    assert judge(STOOD, now, run_id="r1", found=False) == Verdict("reborn", START)
    assert judge(STOOD, now, run_id="r1", found=True) == Verdict("reborn", START)


def test_the_first_epoch_that_is_seen_is_no_loss() -> None:
    stood = Stand("", "", START)
    assert judge(stood, log_of(Position(1, 0), Position(2, 0)), run_id="r1", found=True) == Verdict("", START)


@pytest.mark.parametrize(
    "now",
    [
        log_of(Position(1, 0), Position(100, 4)),  # its end is before our place
        log_of(
            Position(1, 0), Position(200, 0)
        ),  # new entries, but ours is gone from between older and newer
        log_of(None, Position(50, 0)),
    ],
)
def test_a_log_that_lost_its_end_is_read_again(now: Bounds) -> None:
    assert judge(STOOD, now, run_id="r1", found=False) == Verdict("rolled back", START)


def test_entries_cut_off_unread_are_a_loss() -> None:
    rest = log_of(Position(150, 0), Position(200, 0))
    assert judge(STOOD, rest, run_id="r1", found=False) == Verdict("trimmed", START)
    everything = log_of(None, Position(200, 0))
    assert judge(STOOD, everything, run_id="r1", found=False) == Verdict("trimmed", Position(200, 0))


def test_a_server_that_was_restarted_may_have_lost_what_came_last() -> None:
    now = log_of(Position(1, 0), AT)
    assert judge(STOOD, now, run_id="r2", found=True) == Verdict("restarted", AT)
    assert judge(STOOD, now, run_id="", found=True) == Verdict("", AT)  # an ACL forbids INFO
    assert judge(STOOD._replace(run_id=""), now, run_id="r2", found=True) == Verdict("", AT)


def test_every_reason_has_words() -> None:
    assert set(REASONS) == {"reborn", "rolled back", "trimmed", "restarted"}
