"""OPTIONS["DURABILITY"] of a backend -> how safe a task of a queue has to be before ``enqueue()`` returns. Pure.

memory            the server has it; what its append-only file keeps is the server's business. The default
fsync             it is on the server's disk: WAITAOF 1 0
replicas          one replica has it in memory, replicas=2 two: WAIT
fsync+replicas    it is on the server's disk and on that of one replica: WAITAOF 1 1

A level is what was confirmed, no more: Redis promotes a replica of its own choice, and one that has confirmed nothing
may be promoted (https://redis.io/docs/latest/commands/waitaof/, "Consistency and WAITAOF"). Ask for so many replicas
that any which can be promoted must be among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from messaging.errors import InvalidOption, shown

EVERY = "*"  # stands for all queues that are not named
MEMORY = "memory"


class Level(msgspec.Struct, frozen=True):
    """Of one queue. With neither of the first two there is nothing to wait for."""

    fsync: bool = False
    replicas: int = 0
    seconds: float = 2.0  # to reach it

    def __bool__(self) -> bool:
        return self.fsync or self.replicas > 0

    def __str__(self) -> str:
        replicas = {0: [], 1: ["replicas"]}.get(self.replicas, [f"replicas={self.replicas}"])
        return "+".join([*(["fsync"] if self.fsync else []), *replicas]) or MEMORY

    def command(self, seconds: float | None = None) -> tuple[str | int, ...]:
        """What waits for it, in a connection that has just written; 0 ms would be for ever."""
        ms = max(1, int((self.seconds if seconds is None else seconds) * 1000))
        return ("WAITAOF", 1, self.replicas, ms) if self.fsync else ("WAIT", self.replicas, ms)

    def shortfall(self, reply: Any) -> str:
        """What the command answered -> what is missing, in words; "" when nothing is."""
        if isinstance(reply, Exception):
            return f"Redis says: {reply}"
        local, replicas = (reply[0], reply[1]) if self.fsync else (0, reply)
        missing = ["it is not on the server's disk"] if self.fsync and not local else []
        if replicas < self.replicas:
            where = "on the disk of" if self.fsync else "in the memory of"
            missing.append(f"it is {where} {replicas} of {self.replicas} replicas")
        return ", and ".join(missing)


IN_MEMORY = Level()


def parse(text: object, *, seconds: float = 2.0) -> Level:
    """``"fsync+replicas=2"`` -> a level; raises :class:`~messaging.errors.InvalidOption`."""
    fsync, replicas = False, 0
    for word in text.split("+") if isinstance(text, str) else [""]:
        name, given, count = word.strip().partition("=")
        if name == "fsync" and not given:
            fsync = True
        elif name == "replicas" and (not given or (count.isascii() and count.isdecimal() and int(count) > 0)):
            replicas = int(count or 1)
        elif word.strip() != MEMORY or text != MEMORY:
            raise InvalidOption(
                f"a durability is 'memory', 'fsync', 'replicas', 'replicas=N' or 'fsync+replicas=N', not {shown(text)}"
            )
    return Level(fsync, replicas, seconds)


def level_of(given: Mapping[str, str], queue: str, *, seconds: float) -> Level:
    """What a queue gets: its own, or that of all others."""
    text = given.get(queue, given.get(EVERY, MEMORY))
    return parse(text, seconds=seconds)


def check_durability(value: object, name: str) -> None:
    """For ``options.py``."""
    if not isinstance(value, Mapping):
        raise InvalidOption(f"{name} is a dict of queues, not {shown(value)}")
    for queue, text in value.items():
        if not isinstance(queue, str):
            raise InvalidOption(f"{name}: a queue's name is a text, not {shown(queue)}")
        try:
            parse(text)
        except InvalidOption as error:
            raise InvalidOption(f"{name}[{queue!r}]: {error}") from None
