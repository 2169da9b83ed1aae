"""What queues ask for (DURABILITY), and what the server says of itself -> findings: can it confirm that. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from messaging.doctor.facts import Facts
from messaging.doctor.finding import Finding, note, ok, problem, warning
from messaging.taskqueue.durability import Level

SINCE = (7, 2)  # WAITAOF: https://redis.io/docs/latest/commands/waitaof/; Valkey 7.2 and later say so as well


def examine(facts: Facts, asked: Iterable[tuple[str, str, Level]]) -> Iterator[Finding]:
    """One for each queue that asks for something; none without INFO."""
    for alias, name, level in asked if facts.info else ():
        yield _judge(facts, f"queue {name!r} of {alias!r} asks for {str(level)!r}", level)


def _judge(facts: Facts, what: str, level: Level) -> Finding:
    info = facts.info
    version = str(info.get("redis_version", "0"))
    if level.fsync and tuple(int(part) for part in version.split(".")[:2]) < SINCE:
        return problem(
            "durability",
            f"{what}, which Redis {version} cannot confirm",
            why="There is no WAITAOF before 7.2: enqueue() raises BrokerRefused, and nothing is enqueued.",
            remedy="Use Redis or Valkey from 7.2 on, or ask for 'replicas' in OPTIONS['DURABILITY'].",
        )
    if level.fsync and not info.get("aof_enabled"):
        return problem(
            "durability",
            f"{what}, and the append-only file is off",
            why="Without it nothing can be confirmed: enqueue() raises BrokerRefused, and nothing is enqueued.",
            remedy="Turn it on, and write `appendonly yes` into the server's configuration:",
            command=f"{facts.cli} CONFIG SET appendonly yes",
        )
    there = sum(
        1
        for name, each in info.items()
        if name.startswith("slave") and isinstance(each, dict) and each.get("state") == "online"
    )
    if there < level.replicas:
        return warning(
            "durability",
            f"{what}, and {there} of {level.replicas} replicas are online",
            why=f"Each enqueue() waits for {level.seconds:g} s and raises NotDurable; its tasks run all the same.",
            remedy="Bring the replicas back, or ask for fewer in OPTIONS['DURABILITY'].",
        )
    if level.fsync and facts.config.get("appendfsync") not in (None, "always"):
        return note(
            "durability",
            f"{what}, and the server writes with appendfsync {facts.config['appendfsync']}",
            why="It is confirmed once the file is written: each enqueue() to that queue waits up to a second.",
            remedy="Enqueue inside transactions with ENQUEUE_ON_COMMIT, where nobody waits for it, or write at once:",
            command=f"{facts.cli} CONFIG SET appendfsync always",
        )
    return ok("durability", what)
