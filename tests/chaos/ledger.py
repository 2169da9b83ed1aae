"""Lines that writers wrote before and after each publish -> what each message was promised.

A line is a JSON array, written by one ``write(2)``, so that a writer killed at any moment leaves whole lines.

    attempt N VIA TX AT     about to publish; VIA is direct or outbox, TX numbers the transaction (0 = none)
    ok N LOCATION AT        Redis has it (direct)
    fail N                  it was refused and is not in the log (direct)
    undone N                its savepoint was rolled back
    committing TX           the transaction's block has ended without an error
    committed TX AT         the COMMIT was answered
    aborted TX              it was rolled back
"""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Via = Literal["direct", "outbox"]
State = Literal["promised", "refused", "open"]  # open: nobody told the writer how it ended


@dataclass(slots=True)
class Fact:
    """What is known of one message."""

    writer: str
    n: int
    via: Via
    tx: int
    at: float
    state: State = "open"
    position: tuple[int, int] | None = None
    partition: int = 0


class Ledger:
    """The writer's side: a file that only grows."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, kind: str, *values: object) -> None:
        """One line, with the time at its end where the line has one."""
        if kind in ("attempt", "ok", "committed"):
            values = (*values, time.time())
        os.write(self._file, json.dumps([kind, *values]).encode() + b"\n")


def read(path: Path) -> list[Fact]:
    """The facts of one writer."""
    facts: dict[int, Fact] = {}
    ended: dict[int, tuple[str, float]] = {}
    undone: set[int] = set()
    for line in path.read_text().splitlines():
        kind, number, *rest = json.loads(line)
        if kind == "attempt":
            via, tx, at = rest
            facts.setdefault(number, Fact(path.stem, number, via, tx, at))
        elif kind == "ok":
            location, at = rest
            fact = facts[number]
            partition, _, position = location.partition(".")
            ms, _, seq = position.partition("-")
            fact.state, fact.position, fact.at = "promised", (int(ms), int(seq)), at
            fact.partition = int(partition)
        elif kind == "fail":
            facts[number].state = "refused"
        elif kind == "undone":
            undone.add(number)
        else:
            ended[number] = (kind, rest[0] if rest else 0.0)
    for fact in facts.values():
        if fact.via == "direct":
            continue
        how, at = ended.get(fact.tx, ("aborted", 0.0))  # it ended before it could ask for its COMMIT
        if fact.n in undone or how == "aborted":
            fact.state = "refused"
        elif how == "committed":
            fact.state, fact.at = "promised", at
    return list(facts.values())
