"""What was in the log, and what a client saw -> where the two differ. Pure but for the reading of the log."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import redis

from messaging.frames import Place, parse_id
from messaging.live.filters import Filter


class Written(NamedTuple):
    """An entry of the log."""

    position: tuple[int, int]
    channel: str
    number: int


class Seen(NamedTuple):
    """What a client saw: ``start``, ``message``, ``at`` (a position without a message) or ``gap``."""

    what: str
    place: Place
    number: int = -1


@dataclass
class Truth:
    """By epoch, all that was ever in the log."""

    logs: dict[str, list[Written]] = field(default_factory=dict)
    current: str = ""
    wipes: int = 0

    def learn(self, client: redis.Redis) -> None:
        """Read the whole log, before it is wiped or at the end."""
        epoch = (client.get("messaging:{0}:epoch") or b"").decode()
        entries = client.xrange("messaging:{0}:log")
        self.current = epoch
        self.logs[epoch] = [
            Written(
                tuple(map(int, position.decode().split("-"))),  # type: ignore[arg-type]
                (event := msgspec.json.decode(fields[b"e"]))["subject"],
                event["data"]["n"],
            )
            for position, fields in entries
        ]

    def wanted(self, epoch: str, patterns: Sequence[str]) -> list[Written]:
        wanted = Filter.of(patterns)
        return [each for each in self.logs.get(epoch, []) if wanted.takes(each.channel)]

    def faults(self, patterns: Sequence[str], seen: Sequence[Seen]) -> list[str]:
        """Every difference, in words; nothing when the client has seen exactly what it should."""
        known = {epoch: self.wanted(epoch, patterns) for epoch in self.logs}
        positions = {epoch: [each.position for each in entries] for epoch, entries in known.items()}
        found: list[str] = []
        epoch, at, gaps = "", 0, 0
        for number, each in enumerate(seen):
            behind = bisect_right(positions.get(each.place.epoch, []), each.place[1:])
            if each.what in ("start", "gap"):
                gaps += each.what == "gap"
                epoch, at = each.place.epoch, behind
            elif each.place.epoch != epoch and epoch:
                found.append(f"{number}: another log without a word: {each}")
                epoch, at = each.place.epoch, behind
            elif each.what == "at":
                if behind != at and epoch:
                    found.append(
                        f"{number}: {each} passes {behind - at} messages, the first {known[epoch][at:][:1]}"
                    )
                epoch, at = each.place.epoch, behind
            else:
                epoch = each.place.epoch
                expected = known.get(epoch, [])[at : at + 1]
                if [(one.position, one.number) for one in expected] != [(each.place[1:], each.number)]:
                    found.append(f"{number}: {each} instead of {expected}")
                at = behind
        if not seen or epoch != self.current or at != len(known.get(epoch, [])):
            found.append(
                f"ends at {at} of {epoch!r}, not at {len(known.get(self.current, []))} of {self.current!r}"
            )
        if gaps > self.wipes:
            found.append(f"{gaps} gaps, but the log was wiped {self.wipes} times")
        return found


def place_of(text: str) -> Place:
    where = parse_id(text, partitions=1)
    assert where is not None, text
    return where[0]
