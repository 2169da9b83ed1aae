"""Jobs and a level of durability -> entered into their queue, and whether the server has confirmed the level.

Redis waits for what the asking connection wrote, so that both go over one. A job that the queue knew already writes
nothing: a count beside it does, and whatever was written before that is as safe as it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

import redis
import redis.asyncio as aioredis
from django.conf import settings
from redis.exceptions import NoScriptError, ResponseError

from messaging import connection
from messaging.conf import conf
from messaging.errors import BrokerRefused, Misconfigured
from messaging.taskqueue import calls
from messaging.taskqueue.durability import EVERY, IN_MEMORY, Level
from messaging.taskqueue.job import Enqueued, NewJob
from messaging.taskqueue.options import NAMES, defaults_of
from messaging.taskqueue.queue import AsyncQueue, Queue
from messaging.taskqueue.scripting import script, translated

_able: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()  # pool -> levels that its server can confirm


def asked() -> Iterator[tuple[str, str, Level]]:
    """Backend, queue (or "*") and level of all that ask for one in settings that make sense."""
    tasks: Mapping[str, Any] = getattr(settings, "TASKS", {})
    for alias, backend in tasks.items():
        with suppress(Misconfigured, AttributeError):
            defaults = defaults_of(
                {name: given for name, given in backend.get("OPTIONS", {}).items() if name in NAMES}
            )
            for name in defaults.durability:
                if level := defaults.level(name):
                    yield alias, name, level


def level_of(alias: str, queue: str) -> Level:
    """What the settings ask for."""
    found = {name: level for other, name, level in asked() if other == alias}
    return found.get(queue, found.get(EVERY, IN_MEMORY))


def enqueue(
    queue: Queue, jobs: Sequence[NewJob], level: Level, *, must: bool = True
) -> tuple[list[Enqueued], str]:
    """As :meth:`Queue.enqueue`, and what of the level was missing when its time was over, "" if nothing was.

    ``must``: raises :class:`~messaging.errors.BrokerRefused`, with nothing entered, where the server cannot confirm it
    at all.
    """
    with translated(f"queue {queue.name!r}"):
        client = connection.client(timeout=conf.PUBLISH_BUDGET + level.seconds)
        pool = client.connection_pool
        if must and str(level) not in _able.setdefault(pool, set()):
            _check(level, client, queue.name)
            _able[pool].add(str(level))
        queue.register()
        commands = _commands(queue, jobs)
        replies = _pipeline(client.pipeline(transaction=False), commands, queue, level).execute(False)
        if any(isinstance(each, NoScriptError) for each in replies):
            whole = _pipeline(client.pipeline(transaction=False), commands, queue, level, whole=True)
            replies = whole.execute(False)
        return _understood(commands, replies, level)


async def aenqueue(queue: AsyncQueue, jobs: Sequence[NewJob], level: Level) -> tuple[list[Enqueued], str]:
    """:func:`enqueue` for coroutines; the queue's client is one that waits for so long."""
    with translated(f"queue {queue.name!r}"):
        pool = queue.client.connection_pool
        if str(level) not in _able.setdefault(pool, set()):
            await _acheck(level, queue.client, queue.name)
            _able[pool].add(str(level))
        await queue.register()
        commands = _commands(queue, jobs)
        pipe = _pipeline(queue.client.pipeline(transaction=False), commands, queue, level)
        replies = await pipe.execute(False)
        if any(isinstance(each, NoScriptError) for each in replies):
            whole = _pipeline(queue.client.pipeline(transaction=False), commands, queue, level, whole=True)
            replies = await whole.execute(False)
        return _understood(commands, replies, level)


def _commands(queue: Queue | AsyncQueue, jobs: Sequence[NewJob]) -> list[tuple[Any, ...]]:
    names = queue.keys
    return [(len(names), *names, queue.now, *arguments) for arguments in calls.new_jobs(jobs)]


def _pipeline(
    pipe: Any,
    commands: Sequence[tuple[Any, ...]],
    queue: Queue | AsyncQueue,
    level: Level,
    *,
    whole: bool = False,
) -> Any:
    head = ("EVAL", script("enqueue").text) if whole else ("EVALSHA", script("enqueue").sha)
    for command in commands:
        pipe.execute_command(*head, *command)
    pipe.execute_command("HINCRBY", queue.key["ctl"], "confirmations", 1)
    pipe.execute_command(*level.command())
    return pipe


def _understood(
    commands: Sequence[tuple[Any, ...]], replies: Sequence[Any], level: Level
) -> tuple[list[Enqueued], str]:
    *entered, _, said = replies
    for each in entered:
        if isinstance(each, Exception):
            raise each
    results: list[Enqueued] = []
    for command, each in zip(commands, entered, strict=True):
        results += calls.enqueued(command[2 + command[0] :], each)
    return results, level.shortfall(said)


def _check(level: Level, client: redis.Redis, name: str) -> None:
    """Ask in a connection that has written nothing: it answers at once if the server can do it."""
    try:
        client.execute_command(*level.command(0.001))
    except ResponseError as error:
        raise _cannot(level, name, error) from error


async def _acheck(level: Level, client: aioredis.Redis, name: str) -> None:
    try:
        await client.execute_command(*level.command(0.001))
    except ResponseError as error:
        raise _cannot(level, name, error) from error


def _cannot(level: Level, name: str, error: ResponseError) -> BrokerRefused:
    return BrokerRefused(
        f"queue {name!r}: DURABILITY asks for {str(level)!r}, which Redis at {connection.where()} cannot confirm, "
        f"and nothing was enqueued: {error}. {needs(level)}"
    )


def needs(level: Level) -> str:
    """What a server has to have for it, as a sentence."""
    if level.fsync:
        return "It takes Redis or Valkey from 7.2 on, with `appendonly yes`."
    return "It takes the right to call WAIT, on the master."
