"""The judge itself: a ledger and rows that are made up."""

from pathlib import Path

import pytest

from tests.chaos import ledger
from tests.chaos.checker import Expected, Gap, Move, Row, Seen, check

DIRECT, COMMITTED, ROLLED_BACK, UNDONE = 1, 2, 3, 4


@pytest.fixture
def facts(tmp_path: Path) -> list[ledger.Fact]:
    """One message of each kind, and two of a transaction whose COMMIT was never answered."""
    path = tmp_path / "w1.ledger"
    book = ledger.Ledger(path)
    book.note("attempt", DIRECT, "direct", 0)
    book.note("ok", DIRECT, "0.100-0")
    for tx, n, end in ((1, COMMITTED, "committed"), (2, ROLLED_BACK, "aborted"), (3, UNDONE, "committed")):
        book.note("attempt", n, "outbox", tx)
        if n == UNDONE:
            book.note("undone", n)
        book.note(end, tx)
    for n in (5, 6):
        book.note("attempt", n, "outbox", 4)
    book.note("committing", 4)
    return ledger.read(path)


def row(n: int, at: int | None, *, queued: bool = False, delay: float = 0.0) -> Row:
    return Row("w1", n, None if at is None else (at, 0), queued, delay)


GOOD = [row(DIRECT, 100), row(COMMITTED, 101, queued=True)]


def test_what_was_promised_is_there(facts: list[ledger.Fact]) -> None:
    found = check(Seen(facts, GOOD), Expected())
    assert (found.published, found.stored, found.broken) == (2, 2, [])
    assert [fact.state for fact in facts] == ["promised", "promised", "refused", "refused", "open", "open"]
    both = [*GOOD, row(5, 102, queued=True), row(6, 103, queued=True)]
    assert check(Seen(facts, both), Expected()).broken == []


@pytest.mark.parametrize(
    ("rows", "law"),
    [
        (GOOD[:1], "I1"),
        (GOOD[1:], "I1"),
        ([*GOOD, row(ROLLED_BACK, 102)], "I2"),
        ([*GOOD, row(UNDONE, 102)], "I2"),
        ([*GOOD, row(99, 102)], "I2"),
        ([*GOOD, row(5, 102, queued=True)], "I2"),
        ([*GOOD, row(DIRECT, 105)], "I3"),
        ([GOOD[0], row(COMMITTED, 99, queued=True)], "I4"),
    ],
)
def test_what_is_missing_too_much_or_misplaced_is_found(
    facts: list[ledger.Fact], rows: list[Row], law: str
) -> None:
    sentence = check(Seen(facts, rows), Expected()).broken[0]
    assert sentence.startswith(law)


def test_a_late_outbox_row_may_be_out_of_order(facts: list[ledger.Fact]) -> None:
    late = [GOOD[0], row(COMMITTED, 99, queued=True, delay=6.0)]
    assert check(Seen(facts, late), Expected()).broken == []


def test_a_direct_message_may_be_lost_only_where_a_gap_says_so(facts: list[ledger.Fact]) -> None:
    now = facts[0].at
    for gap, broken in (
        (Gap("reborn", (99, 0), now + 1), 0),
        (Gap("reborn", (100, 0), now + 1), 1),  # everything up to it was stored
        (Gap("reborn", (99, 0), now - 1), 1),  # it tells of an earlier loss
    ):
        found = check(Seen(facts, GOOD[1:], gaps=[gap]), Expected(direct="recorded"))
        assert (len(found.broken), found.recorded, found.lost) == (broken, 1 - broken, broken)


def test_the_cursor_goes_back_only_where_a_gap_says_so(facts: list[ledger.Fact]) -> None:
    back = Move(1, 1, "e", "e", (200, 0), (0, 0))
    assert check(Seen(facts, GOOD, moves=[back]), Expected()).broken[0].startswith("I5")
    told = [Gap("rolled back", (200, 0), 0.0)]
    assert check(Seen(facts, GOOD, gaps=told, moves=[back]), Expected()).broken == []
    lower = Move(2, 1, "e", "e", (200, 0), (201, 0))
    assert check(Seen(facts, GOOD, moves=[lower]), Expected()).broken[0].startswith("I5")


def test_the_rest_is_counted(facts: list[ledger.Fact]) -> None:
    seen = Seen(facts, GOOD, quarantined=1, settled=False, copies=3, log_lines=61, memory_mb=201)
    laws = [sentence[:3].strip() for sentence in check(seen, Expected(copies=2)).broken]
    assert laws == ["I7", "I3", "I8", "I8", "I10"]
