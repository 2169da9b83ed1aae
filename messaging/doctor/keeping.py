"""What the server says of itself -> findings: does it keep what it was given, on disk, in memory, on replicas. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from messaging.doctor.facts import Facts
from messaging.doctor.finding import Finding, note, ok, problem, warning
from messaging.doctor.server import FULL, NEARLY_FULL
from messaging.quantities import size, span


def examine(facts: Facts) -> Iterator[Finding]:
    """Disk, memory, replicas."""
    if facts.info:
        yield _disk(facts)
        yield from _disk_errors(facts)
        yield from _eviction(facts)
        yield _memory(facts)
        yield _role(facts)


# -- disk ---------------------------------------------------------------------------------------------------------


def _disk(facts: Facts) -> Finding:
    info, sync = facts.info, facts.config.get("appendfsync", "")
    turn_on = f"{facts.cli} CONFIG SET appendonly yes"
    if info.get("loading"):
        return warning(
            "persistence",
            "the server is loading its data",
            why="Until it is done every command is refused; outbox rows wait, publish() raises BrokerUnavailable.",
        )
    if info.get("aof_enabled"):
        what = "append-only file on" + (f", appendfsync {sync}" if sync else "")
        if sync == "no":
            return warning(
                "persistence",
                what,
                why="The system writes when it likes, often half a minute late: a crash of the machine costs as much.",
                remedy="Write once a second:",
                command=f"{facts.cli} CONFIG SET appendfsync everysec",
            )
        if sync == "everysec":
            what += " (a crash of the machine can cost a second of what is published outside transactions)"
        return ok("persistence", what)
    if facts.config.get("save", "?"):
        ago = span(1000 * max(0.0, time.time() - int(info.get("rdb_last_save_time", 0))))
        changes = int(info.get("rdb_changes_since_last_save", 0))
        return warning(
            "persistence",
            f"snapshots only, the last {ago} ago, {changes:,} changes before now",
            why="A restart loses what was published since, as far as the table does not have it; a gap is recorded.",
            remedy="Turn the append-only file on, and write `appendonly yes` into the server's configuration:",
            command=turn_on,
        )
    return problem(
        "persistence",
        "nothing is written to disk",
        why="A restart loses the whole log: what was published outside a transaction and is not stored yet is gone.",
        remedy="Turn the append-only file on, and write `appendonly yes` into the server's configuration:",
        command=turn_on,
    )


def _disk_errors(facts: Facts) -> Iterator[Finding]:
    info, directory = facts.info, facts.config.get("dir", "its directory")
    look = f"See the server's log; most often {directory} has no room, or not the right owner."
    if info.get("aof_enabled") and info.get("aof_last_write_status", "ok") != "ok":
        yield problem(
            "disk",
            "the append-only file could not be written",
            why="The server refuses all writes (MISCONF) until it can: publish() raises BrokerUnavailable.",
            remedy=look,
        )
    if info.get("aof_enabled") and info.get("aof_last_bgrewrite_status", "ok") != "ok":
        yield warning(
            "disk",
            "the last rewrite of the append-only file failed",
            why="The file grows until the disk is full, and loading it after a restart takes ever longer.",
            remedy=look,
            command=f"{facts.cli} BGREWRITEAOF",
        )
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        refuses = (
            facts.config.get("save", "") and facts.config.get("stop-writes-on-bgsave-error", "yes") == "yes"
        )
        yield (problem if refuses else warning)(
            "disk",
            "the last snapshot failed",
            why="The server refuses all writes (MISCONF) until one succeeds."
            if refuses
            else "It is out of date.",
            remedy=look,
            command=f"{facts.cli} BGSAVE",
        )


# -- memory -------------------------------------------------------------------------------------------------------


def _eviction(facts: Facts) -> Iterator[Finding]:
    policy = str(facts.info.get("maxmemory_policy", "noeviction"))
    if policy == "noeviction":
        yield ok("eviction", "noeviction: nothing is thrown away for room")
        return
    limited = bool(int(facts.info.get("maxmemory", 0)))
    if policy.startswith("allkeys"):
        level = problem if limited else warning
        why = "When memory is short the server deletes any key, and the log is one key: all unread messages at once."
    else:
        level = warning if limited else note
        why = "When memory is short the server deletes keys that expire, such as the lease of the listener in charge."
    if not limited:
        why += " There is no maxmemory yet, so it does nothing so far."
    yield level(
        "eviction",
        f"maxmemory-policy is {policy}",
        why=why,
        remedy="Give the broker a server of its own, or stop evicting; write it into the server's configuration too:",
        command=f"{facts.cli} CONFIG SET maxmemory-policy noeviction",
    )


def _memory(facts: Facts) -> Finding:
    used, limit = int(facts.info.get("used_memory", 0)), int(facts.info.get("maxmemory", 0))
    system = int(facts.info.get("total_system_memory", 0))
    if not limit:
        what = f"{size(used)} used, no limit"
        if system and used > NEARLY_FULL * system:
            return problem(
                "memory",
                f"{what}, and the machine has {size(system)}",
                why="The system ends the largest process when its memory is full.",
                remedy="Lower MESSAGING['REPLAY_ENTRIES'], or use a larger machine.",
            )
        return note(
            "memory",
            what,
            why="Without maxmemory the system decides what happens when memory is full, and may end the server.",
            remedy="Set a limit below the machine's memory; publish() then raises BrokerFull, and the outbox waits:",
            command=f"{facts.cli} CONFIG SET maxmemory {max(256, system // 2 // 1024 // 1024)}mb",
        )
    share = used / limit
    what = f"{size(used)} of {size(limit)} used ({share:.0%})"
    if share < NEARLY_FULL:
        return ok("memory", what)
    return (problem if share >= FULL else warning)(
        "memory",
        what,
        why="When it is full publish() raises BrokerFull, captured messages wait, and the outbox waits in the table.",
        remedy="Lower MESSAGING['REPLAY_ENTRIES'], move the cache to another server, or give it more:",
        command=f"{facts.cli} CONFIG SET maxmemory {limit * 2}",
    )


# -- replicas -----------------------------------------------------------------------------------------------------


def _role(facts: Facts) -> Finding:
    info = facts.info
    if info.get("role") == "slave":
        return problem(
            "role",
            f"a replica of {info.get('master_host')}:{info.get('master_port')}",
            why="It refuses every write (READONLY): nothing can be published or captured, no listener takes charge.",
            remedy="Point MESSAGING['URL'] at the master, or set CACHE_ALIAS to a django-redis cache with Sentinel.",
        )
    replicas = [each for name, each in info.items() if name.startswith("slave") and isinstance(each, dict)]
    online = [each for each in replicas if each.get("state") == "online"]
    needed = int(facts.config.get("min-replicas-to-write") or 0)
    if len(online) < needed:
        return problem(
            "role",
            f"master with {len(online)} of the {needed} replicas that it needs for a write",
            why="It refuses every write (NOREPLICAS): publish() raises BrokerUnavailable.",
            remedy="Bring the replicas back, or ask for fewer:",
            command=f"{facts.cli} CONFIG SET min-replicas-to-write {len(online)}",
        )
    if not replicas:
        return ok("role", "master, no replicas")
    offset = int(info.get("master_repl_offset", 0))
    behind = max((offset - int(each.get("offset", 0)) for each in online), default=0)
    what = partial("master, {} of {} replicas online, at most {} behind".format, len(online), len(replicas))
    if len(online) < len(replicas):
        return warning(
            "role",
            what(size(behind)),
            why="A fail-over to a replica that is behind loses the end of the log; it would be recorded as a gap.",
            remedy="See INFO replication and the replica's log.",
        )
    return ok("role", what(size(behind)))
