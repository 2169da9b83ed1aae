"""An operator's word -> a worker's supervisor, who reads it with each heartbeat: drain and end, drain and stay, go on.

A worker that is to stay runs, and takes no more tasks until it is told to go on: before a deploy, or to look into what
it does. One that is to end drains as after a TERM and ends with 0; whoever supervises it (systemd with
``Restart=always``, Kubernetes, ``manage.py up``) starts another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec
import redis

from messaging import keys
from messaging.taskqueue.quantities import WorkerSeen
from messaging.taskqueue.scripting import translated

KEPT_MS = 3600 * 1000  # of a word that nobody reads; a worker that stays keeps its own alive

QUIET = "quiet"  # the state of a worker that stays
Wish = Literal["end", "stay", "go on"]


def takes_tasks(facts: Mapping[str, Any]) -> bool:
    """What a worker says of itself: does it take more, for all that somebody has asked of it?"""
    return facts.get("state") != QUIET


class Asked(msgspec.Struct, frozen=True):
    """What somebody wants of a worker."""

    wish: Wish
    by: str


class Unit(msgspec.Struct, frozen=True):
    """One ``manage.py work``: a supervisor and its processes, all of which do the same."""

    alias: str  # of settings.TASKS
    name: str  # host:pid:mark of the supervisor
    workers: tuple[str, ...]  # ids of its processes
    state: str


def ask(client: redis.Redis, unit: Unit, asked: Asked) -> None:
    """Tell it, within a third of TASK_LEASE_SECONDS; raises :class:`~messaging.errors.BrokerError`."""
    with translated(f"worker {unit.name}"):
        client.set(keys.asked(unit.alias, unit.name), msgspec.json.encode(asked), px=KEPT_MS)


def heard(client: redis.Redis, alias: str, name: str) -> Asked | None:
    """What is asked of this one. It stays asked for as long as it is asked about."""
    with translated(f"worker {name}"):
        found = client.execute_command("GETEX", keys.asked(alias, name), "PX", KEPT_MS)
    return _read(found)


def _read(found: bytes | None) -> Asked | None:
    try:
        return None if found is None else msgspec.json.decode(found, type=Asked)
    except msgspec.MsgspecError:  # of another release
        return None


def pending(client: redis.Redis, units: Iterable[Unit]) -> dict[str, Asked]:
    """What these are asked, by their names, for eyes: it stays asked no longer for being looked at."""
    some = list(units)
    with translated("what workers are asked"):
        pipe = client.pipeline(transaction=False)
        for unit in some:
            pipe.get(keys.asked(unit.alias, unit.name))
        found = pipe.execute() if some else []
    asked = ((unit.name, _read(each)) for unit, each in zip(some, found, strict=True))
    return {name: each for name, each in asked if each is not None}


def done(client: redis.Redis, alias: str, name: str) -> None:
    """It does so, and need not be told again."""
    with translated(f"worker {name}"):
        client.delete(keys.asked(alias, name))


def units(workers: Mapping[str, WorkerSeen]) -> dict[str, Unit]:
    """Processes as they were last heard -> the units that they belong to. One of an older release names none."""
    found: dict[str, Unit] = {}
    for worker in workers.values():
        name, alias = worker.facts.get("unit"), worker.facts.get("backend")
        if isinstance(name, str) and isinstance(alias, str):
            others = found[name].workers if name in found else ()
            found[name] = Unit(alias, name, (*others, worker.id), str(worker.facts.get("state", "")))
    return found


def meant(found: Mapping[str, Unit], wanted: str) -> Sequence[Unit]:
    """A worker's id, a host, or a host and the beginning of what follows -> units; ``LookupError`` with a sentence."""
    some = [
        unit
        for unit in found.values()
        if any(wanted == name or name.startswith(f"{wanted}:") for name in (unit.name, *unit.workers))
    ]
    if not some:
        known = ", ".join(sorted(found)) or "none"
        raise LookupError(f"There is no worker {wanted!r}. Those that there are: {known}.")
    return some
