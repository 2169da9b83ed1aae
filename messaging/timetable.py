"""The schedule and what Redis knows of it -> when each recurring task ticked last and ticks next; run one, pause one.

What is paused ticks on without making tasks: when it is resumed, nothing is made up for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import redis

from messaging import connection, keys
from messaging.quantities import span
from messaging.recurring import id_of, job_of, schedule
from messaging.schedule import Recurring
from messaging.taskqueue.quantities import Paused
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.scripting import translated
from messaging.taskqueue.standing import SECONDS

OVERDUE_MS = (
    15_000  # a tick that has not been made for so long: clocks look twice a second, a lease lasts 6 s
)


class Planned(msgspec.Struct, kw_only=True):
    """A recurring task at one moment. Moments are milliseconds since 1970 by the clock of Redis, 0: none."""

    name: str
    task: str
    rule: str
    catch_up: str
    backend: str = ""
    queue: str = ""
    last_ms: int = 0  # the latest tick
    last_task: str = ""  # the id of its task, as long as that is known
    last_state: str = ""
    next_ms: int = 0
    overdue_ms: int = 0  # for how long the next tick should have been made
    paused: Paused | None = None
    problem: str = ""


def look() -> tuple[list[Planned], int]:
    """Every entry of the setting in its order, and the time; raises :class:`~messaging.errors.BrokerError`. An entry
    that makes no sense at all is none: :func:`messaging.recurring.schedule` tells of it."""
    client = _client()
    entries, _ = schedule()
    ticks, paused, now_ms = _known(client)
    return [
        _planned(client, each, int(ticks.get(each.name.encode(), 0)), paused.get(each.name.encode()), now_ms)
        for each in entries
    ], now_ms


def overdue(*, seconds: float = SECONDS) -> dict[str, int]:
    """For how many milliseconds each entry should have ticked and has not, by name; raises a BrokerError."""
    entries, _ = schedule()
    if not entries:
        return {}
    ticks, _, now_ms = _known(connection.client(timeout=seconds))
    return {
        each.name: max(0, now_ms - each.next(int(ticks.get(each.name.encode(), now_ms)))) for each in entries
    }


def _known(client: redis.Redis) -> tuple[dict[bytes, bytes], dict[bytes, bytes], int]:
    """The latest ticks and the pauses by name, and the time."""
    with translated("the schedule"):
        pipe = client.pipeline(transaction=False)
        pipe.hgetall(keys.ticks())
        pipe.hgetall(keys.paused_schedules())
        pipe.time()
        ticks, paused, now = pipe.execute()
    return ticks, paused, _milliseconds(now)


def _milliseconds(now: tuple[int, int]) -> int:
    """What ``TIME`` answers, as everything here has it."""
    seconds, micros = now
    return seconds * 1000 + micros // 1000


def _planned(
    client: redis.Redis, entry: Recurring, last_ms: int, paused: bytes | None, now_ms: int
) -> Planned:
    found = Planned(name=entry.name, task=entry.task, rule=entry.rule, catch_up=entry.catch_up)
    found.paused = _read(paused)
    found.next_ms = entry.next(last_ms or now_ms)
    found.overdue_ms = max(0, now_ms - found.next_ms)
    try:
        task, _ = job_of(entry)
    except Exception as error:  # of the user's module, of Django's Tasks
        found.problem = str(error)
        return found
    found.backend, found.queue = task.backend, task.queue_name
    if last_ms and entry.is_tick(last_ms):
        found.last_ms = last_ms
        job = Queue(client, task.backend, task.queue_name).get(id_of(entry.name, last_ms, task.queue_name))
        if job is not None:
            found.last_task, found.last_state = job.id, str(job.state)
    return found


def problems(planned: Sequence[Planned]) -> list[str]:
    """Sentences about entries that should have ticked and have not. Those that cannot work are
    :mod:`messaging.taskchecks`'s to tell."""
    return [
        f"schedule {each.name!r} was due {span(each.overdue_ms)} ago, and nobody has made its task"
        for each in planned
        if each.overdue_ms > OVERDUE_MS and not each.problem
    ]


def entry(name: str) -> Recurring:
    """The entry of that name; ``LookupError`` with a sentence if there is none that makes sense."""
    entries, _ = schedule()
    for each in entries:
        if each.name == name:
            return each
    known = ", ".join(repr(each.name) for each in entries) or "none"
    raise LookupError(f"There is no schedule {name!r}. Those that there are: {known}.")


def run_now(name: str) -> str:
    """Enqueue its task once more, now; the id. Its ticks stay what they are.

    Raises ``LookupError``, what importing the task raises, Django's ``InvalidTask`` and a
    :class:`~messaging.errors.BrokerError`.
    """
    found = entry(name)
    task, _ = job_of(found)
    return str(task.enqueue(*found.args, **found.kwargs).id)


def pause(name: str, by: str, why: str = "") -> bool:
    """Let its ticks make no tasks; was it running? Raises ``LookupError`` and a BrokerError."""
    entry(name)
    client = _client()
    with translated("the schedule"):
        note = Paused(by, why, _milliseconds(client.time()))
        return bool(client.hsetnx(keys.paused_schedules(), name, msgspec.json.encode(note).decode()))


def resume(name: str) -> bool:
    """Let its ticks make tasks again; was it paused? Also one that is in no settings any more."""
    with translated("the schedule"):
        return bool(_client().hdel(keys.paused_schedules(), name))


def _client() -> Any:
    return connection.client(timeout=SECONDS)


def _read(text: bytes | None) -> Paused | None:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Paused)
    except msgspec.MsgspecError:  # paused all the same
        return Paused("?", "", 0)
