"""The ledger and the rows -> which invariants are broken. Pure; the numbers are those of the design."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from tests.chaos.ledger import Fact

Position = tuple[int, int]


class Row(NamedTuple):
    """A message of a writer in the database; ``position`` is None while it is pending."""

    writer: str
    n: int
    position: Position | None
    queued: bool  # an outbox row
    delay: float  # seconds from its time to its storing
    lane: str = ""  # within which the writer's order is kept: channel and partition


class Gap(NamedTuple):
    """A recorded span that may be lost."""

    reason: str
    position: Position  # everything up to here was stored
    noticed_at: float
    partition: int = 0


class Move(NamedTuple):
    """One update of the relay's cursor."""

    fence_before: int
    fence: int
    epoch_before: str
    epoch: str
    before: Position
    position: Position


@dataclass(frozen=True, slots=True)
class Expected:
    """What a case allows."""

    direct: Literal["kept", "recorded"] = "kept"  # recorded: may be lost, if a gap row says so
    quarantined: int = 0
    late_after: float = 5.0  # an outbox row stored so long after its time counts as flagged
    copies: int = 0  # most entries of one message that the log may hold; 0 = any number
    log_lines: int = 60
    memory_mb: int = 200


@dataclass(slots=True)
class Seen:
    """What is there when all is quiet."""

    facts: list[Fact]
    rows: list[Row]
    gaps: list[Gap] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    quarantined: int = 0
    settled: bool = True
    copies: int = 0
    log_lines: int = 0
    memory_mb: int = 0


@dataclass(slots=True)
class Findings:
    """Figures for the table, and a sentence for each broken invariant."""

    published: int = 0
    stored: int = 0
    lost: int = 0  # promised, not stored, no gap says so
    recorded: int = 0  # direct ones lost, and a gap says so
    duplicated: int = 0
    phantom: int = 0
    broken: list[str] = field(default_factory=list)


def check(seen: Seen, expected: Expected) -> Findings:
    """Compare."""
    found = Findings()
    stored = {(row.writer, row.n) for row in seen.rows if row.position is not None}
    found.published = sum(fact.state == "promised" for fact in seen.facts)
    found.stored = len(stored)
    _check_kept(seen, expected, stored, found)
    _check_phantoms(seen, found)
    _check_once(seen, found)
    found.broken += _order(seen, expected)
    found.broken += _one_relay(seen)
    if not seen.settled:
        waiting = sum(row.position is None for row in seen.rows)
        found.broken.append(f"I7 the lag does not return to zero ({waiting} pending)")
    if expected.copies and seen.copies > expected.copies:
        found.broken.append(f"I3 a message was sent {seen.copies} times, more than {expected.copies}")
    if seen.log_lines > expected.log_lines:
        found.broken.append(f"I8 {seen.log_lines} log lines, more than {expected.log_lines}")
    if seen.memory_mb > expected.memory_mb:
        found.broken.append(f"I8 the listener takes {seen.memory_mb} MB, more than {expected.memory_mb}")
    if seen.quarantined != expected.quarantined:
        found.broken.append(f"I10 {seen.quarantined} entries in quarantine, not {expected.quarantined}")
    return found


def _check_kept(seen: Seen, expected: Expected, stored: set[tuple[str, int]], found: Findings) -> None:
    unsaid = []
    for fact in seen.facts:
        if fact.state != "promised" or (fact.writer, fact.n) in stored:
            continue
        if fact.via == "direct" and expected.direct == "recorded" and _is_recorded(fact, seen.gaps):
            found.recorded += 1
        else:
            unsaid.append(fact)
    found.lost = len(unsaid)
    for via, law in (("outbox", "I1"), ("direct", "I9" if expected.direct == "recorded" else "I1")):
        if these := [_name(fact) for fact in unsaid if fact.via == via]:
            found.broken.append(f"{law} {len(these)} {via} messages lost: {_some(these)}")


def _is_recorded(fact: Fact, gaps: Sequence[Gap]) -> bool:
    position = fact.position
    return position is not None and any(
        gap.partition == fact.partition and gap.position < position and gap.noticed_at >= fact.at
        for gap in gaps
    )


def _check_phantoms(seen: Seen, found: Findings) -> None:
    known = {(fact.writer, fact.n): fact for fact in seen.facts}
    there = {(row.writer, row.n) for row in seen.rows}
    phantoms = [key for key in there if key not in known or known[key].state == "refused"]
    found.phantom = len(phantoms)
    if phantoms:
        names = [f"{writer}/{n}" for writer, n in sorted(phantoms)]
        found.broken.append(f"I2 {len(phantoms)} messages that were rolled back or refused: {_some(names)}")
    transactions: defaultdict[tuple[str, int], set[bool]] = defaultdict(set)
    for fact in seen.facts:
        if fact.via == "outbox" and fact.state == "open":
            transactions[fact.writer, fact.tx].add((fact.writer, fact.n) in there)
    if torn := [f"{writer}/{tx}" for (writer, tx), kinds in transactions.items() if len(kinds) > 1]:
        found.broken.append(f"I2 {len(torn)} transactions are there in part: {_some(torn)}")


def _check_once(seen: Seen, found: Findings) -> None:
    counts = Counter((row.writer, row.n) for row in seen.rows)
    twice = [f"{writer}/{n}" for (writer, n), count in counts.items() if count > 1]
    found.duplicated = len(twice)
    if twice:
        found.broken.append(f"I3 {len(twice)} messages are there twice: {_some(twice)}")


def _order(seen: Seen, expected: Expected) -> list[str]:
    """Each writer has channels of its own. What outcome it never heard of has no place in its order."""
    promised = {(fact.writer, fact.n) for fact in seen.facts if fact.state == "promised"}
    last: dict[tuple[str, str], Row] = {}
    wrong = []
    for row in sorted(seen.rows, key=lambda row: (row.writer, row.n)):
        flagged = row.queued and row.delay >= expected.late_after
        if row.position is None or flagged or (row.writer, row.n) not in promised:
            continue
        lane = row.writer, row.lane
        before = last.get(lane)
        if before is not None and before.position is not None and row.position < before.position:
            wrong.append(f"{row.writer}/{before.n} behind {row.n} ({_told(before)} and {_told(row)})")
        else:
            last[lane] = row
    return [f"I4 {len(wrong)} messages out of order: {_some(wrong)}"] if wrong else []


def _told(row: Row) -> str:
    kind = "outbox" if row.queued else "direct"
    return f"{kind} at {row.position}, stored after {row.delay:.3f} s"


def _one_relay(seen: Seen) -> list[str]:
    """A relay that is in charge moves on. Back it goes only where a gap row tells why."""
    told = {gap.position for gap in seen.gaps}
    wrong = []
    for move in seen.moves:
        back = move.position < move.before and move.before not in told
        if move.fence < move.fence_before or back:
            wrong.append(f"{move.before} -> {move.position}")
    return [f"I5 {len(wrong)} moves of the cursor by a second relay: {_some(wrong)}"] if wrong else []


def _name(fact: Fact) -> str:
    return f"{fact.writer}/{fact.n}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
