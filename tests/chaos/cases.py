"""The cases: which faults, in what kind of world, and what they may cost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.chaos import faults
from tests.chaos.world import World

FORGETFUL = {"appendonly": "no", "save": ""}


@dataclass(frozen=True, slots=True)
class Case:
    """``direct``: are messages that Redis alone has kept, or may they be lost if a gap row says so?"""

    name: str
    faults: tuple[Callable[[World], None], ...]
    direct: Literal["kept", "recorded"] = "kept"
    listeners: int = 1
    copies: int = 0  # how often a message may stand in the log; 0 = as often as it takes
    world: Mapping[str, Any] = field(default_factory=dict)
    database: Literal["", "sqlite", "postgresql"] = ""  # "" = any
    shuffled: bool = False  # the faults strike in any order, several of them at the same world


CASES = (
    Case("kill the listener", (faults.kill_listener,)),
    Case("restart the listener", (faults.restart_listener,)),
    Case("kill one of two listeners", (faults.kill_one_of_two,), listeners=2),
    Case("freeze the listener past its lease", (faults.freeze_listener,), listeners=2),
    Case("kill a writer", (faults.kill_writer,)),
    Case("kill a writer between COMMIT and send", (faults.kill_writer_after_commit,)),
    Case("listener down for long", (faults.listener_down,), copies=2),
    Case("kill Redis, append-only file", (faults.kill_redis,)),
    Case("kill Redis, no persistence", (faults.kill_redis,), "recorded", world={"server": FORGETFUL}),
    Case(
        "kill Redis and the listener, snapshot",
        (faults.kill_redis_and_listener,),
        "recorded",
        world={"server": FORGETFUL | {"save": "3600 1000000"}},
    ),
    Case("freeze Redis", (faults.freeze_redis, faults.client_pause)),
    Case("FLUSHALL", (faults.flushall, faults.flushdb), "recorded"),
    Case("FLUSHALL while the listener is down", (faults.flush_while_down,), "recorded"),
    Case("FLUSHALL behind a barrier", (faults.flush_behind_barrier,), "recorded", world={"direct": 0.0}),
    Case("DEL of the log", (faults.delete_log,), "recorded"),
    Case("DEL of the epoch", (faults.delete_epoch,)),
    Case("XTRIM while the listener is down", (faults.trim_while_down,), "recorded"),
    Case("SCRIPT FLUSH", (faults.flush_scripts,)),
    Case("error replies", (faults.readonly, faults.misconf, faults.out_of_memory)),
    Case("connections cut by Redis", (faults.kill_connections, faults.kill_pubsub)),
    Case("cut before the reply", (faults.cut_before_reply,), world={"proxied": True}),
    Case("bad network", (faults.network,), world={"proxied": True}),
    Case("bad network for all", (faults.network,), world={"proxied": True, "listener_proxied": True}),
    Case("bad input", (faults.garbage,)),
    Case("SQLite locked", (faults.lock_sqlite,), database="sqlite"),
    Case("a long transaction among short ones", (faults.long_transaction,), database="postgresql"),
    Case("kill PostgreSQL", (faults.kill_postgresql, faults.kill_backend), database="postgresql"),
)

STORM = Case(
    "storm",
    (
        faults.kill_listener, faults.restart_listener, faults.freeze_listener, faults.kill_writer,
        faults.kill_writer_after_commit, faults.kill_redis, faults.freeze_redis, faults.flushall,
        faults.flush_while_down, faults.delete_log, faults.delete_epoch, faults.trim_while_down,
        faults.flush_scripts, faults.readonly, faults.out_of_memory, faults.client_pause, faults.kill_pubsub,
        faults.kill_connections, faults.network, faults.cut_before_reply, faults.garbage,
    ),
    "recorded",
    listeners=2,
    world={"proxied": True},
    shuffled=True,
)  # fmt: skip


def named(name: str) -> Case:
    """The case of this name."""
    return next(case for case in CASES if case.name == name)
