"""The cases: which faults, in what kind of world, and what they may cost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.chaos import databases, deploys, disks, faults, guarded, links, loads, rights
from tests.chaos.world import World

FORGETFUL = {"appendonly": "no", "save": ""}
ORDERED: Mapping[str, Any] = {"messaging": {"ORDERED_CHANNELS": ["w.*"]}, "direct": 0.0}
PARTED = {"messaging": {"PARTITIONS": 3}}


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
    strict: bool = False  # order is kept by all, also by what was sent late
    short: bool = True  # in the tests as well, with each fault once
    most: int = 0  # rounds of a long run at the most, for what takes a minute; 0 = as many as are asked for
    lines: int = 15  # of the log, for each fault
    settle: float = 0.0  # seconds until all is quiet; 0 = as always


CASES = (
    Case("kill the listener", (faults.kill_listener,)),
    Case("restart the listener", (deploys.restart_listener,)),
    Case("kill one of two listeners", (faults.kill_one_of_two,), listeners=2),
    Case("freeze the listener past its lease", (faults.freeze_listener,), listeners=2),
    Case("kill a writer", (faults.kill_writer,)),
    Case("kill a writer between COMMIT and send", (faults.kill_writer_after_commit,)),
    Case("listener down for long", (faults.listener_down,), copies=2),
    Case("kill Redis, append-only file", (faults.kill_redis,)),
    Case("kill Redis, much to load", (faults.slow_to_load,)),
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
    Case("error replies", (faults.readonly, faults.misconf, faults.out_of_memory, faults.busy)),
    Case(
        "every error reply, for all",
        (links.refuse,),
        world={"proxied": True, "listener_proxied": True},
    ),
    Case("connections cut by Redis", (faults.kill_connections, faults.kill_pubsub, links.no_room)),
    Case("cut before the reply", (links.cut_before_reply,), world={"proxied": True}),
    Case("bad network", (links.network,), world={"proxied": True}),
    Case("bad network for all", (links.network,), world={"proxied": True, "listener_proxied": True}),
    Case(
        "a subscription falls silent",
        (links.silent_subscription,),
        world={"proxied": True, "listener_proxied": True},
        short=False,
        most=5,
    ),
    Case(
        "fail-over to a replica that lags",
        (guarded.fail_over_to_lagging_replica,),
        "recorded",
        world={"guarded": True},
        short=False,
        most=10,
    ),
    Case(
        "a master that is relieved",
        (guarded.hand_over_to_replica,),
        "recorded",
        world={"guarded": True, "direct": 0.0},
        short=False,
        most=5,
    ),
    Case("bad input", (faults.garbage,)),
    Case("50 threads, Redis stalled", (loads.stall_before_crowd,), short=False, most=5),
    Case("10,000 events in a transaction", (loads.big_transaction,), short=False, most=3, settle=60.0),
    Case("rights taken away", (rights.no_channel_rights, rights.no_stream_rights, rights.no_key_rights)),
    Case("disk full for Redis", (disks.full_for_redis,)),
    Case("disk full for the database", (disks.full_for_database,)),
    Case("database down for a minute", (databases.database_down,), short=False, most=2),
    Case("20 rolling restarts", (deploys.restart_all,), short=False, most=3, lines=60),
    Case("number of partitions changed", (deploys.change_partitions,)),
    Case("3 partitions, kill the listener", (faults.kill_listener,), world=PARTED, short=False),
    Case("3 partitions, FLUSHALL", (faults.flushall,), "recorded", world=PARTED, short=False),
    Case("3 partitions, DEL of one log", (faults.delete_log,), "recorded", world=PARTED),
    Case(
        "ordered, FLUSHALL",
        (faults.flushall, faults.flush_while_down),
        "recorded",
        world=ORDERED,
        strict=True,
    ),
    Case("ordered, kill the listener", (faults.kill_listener,), world=ORDERED, strict=True, short=False),
    Case(
        "ordered, freeze the listener",
        (faults.freeze_listener,),
        listeners=2,
        world=ORDERED,
        strict=True,
        short=False,
    ),
    Case(
        "ordered, kill Redis, no persistence",
        (faults.kill_redis,),
        "recorded",
        world={**ORDERED, "server": FORGETFUL},
        strict=True,
        short=False,
    ),
    Case(
        "ordered, bad network for all",
        (links.network,),
        world={**ORDERED, "proxied": True, "listener_proxied": True},
        strict=True,
        short=False,
    ),
    Case("SQLite locked", (databases.lock_sqlite,), database="sqlite"),
    Case("a long transaction among short ones", (databases.long_transaction,), database="postgresql"),
    Case(
        "a minute's transaction among short ones",
        (databases.minute_long_transaction,),
        database="postgresql",
        short=False,
        most=1,
    ),
    Case(
        "connection cut during COMMIT",
        (databases.commit_that_does_not_arrive, databases.commit_without_an_answer),
        world={"database_proxied": True},
        database="postgresql",
    ),
    Case("kill PostgreSQL", (databases.kill_postgresql, databases.kill_backend), database="postgresql"),
)

LONG = (
    Case(
        "a backlog of 1,000,000",
        (loads.backlog,),
        world={"messaging": {"MAX_LOG_ENTRIES": 1_500_000, "REPLAY_ENTRIES": 10_000}},
        settle=300.0,
    ),
)  # minutes each: only where they are named

STORM = Case(
    "storm",
    (
        faults.kill_listener, deploys.restart_listener, faults.freeze_listener, faults.kill_writer,
        faults.kill_writer_after_commit, faults.kill_redis, faults.freeze_redis, faults.flushall,
        faults.flush_while_down, faults.delete_log, faults.delete_epoch, faults.trim_while_down,
        faults.flush_scripts, faults.slow_to_load, faults.readonly, faults.out_of_memory, faults.busy,
        faults.client_pause, faults.kill_pubsub, faults.kill_connections, links.network, links.refuse,
        links.cut_before_reply, links.no_room, faults.garbage,
    ),
    "recorded",
    listeners=2,
    world={"proxied": True},
    shuffled=True,
)  # fmt: skip


def named(name: str) -> Case:
    """The case of this name."""
    return next(case for case in CASES if case.name == name)
