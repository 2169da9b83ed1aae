"""The clock of Redis -> tasks of the schedule, one for each tick, whoever looks and however many do.

There is no leader. The id of a tick's job follows from the schedule's name and the moment, so a queue takes it once;
Redis remembers the latest tick of each schedule, so nobody begins where it is over. A schedule that is seen for the
first time, or after Redis has lost its memory, begins then.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec
import redis
from django.conf import settings
from django.utils import timezone

from messaging import keys, scripts
from messaging.conf import conf
from messaging.deliveries import REMEMBERED_MS
from messaging.errors import Misconfigured
from messaging.schedule import MOST, Recurring, parsed
from messaging.taskqueue.enqueueing import prepare
from messaging.taskqueue.job import NewJob, code_of
from messaging.taskqueue.lookup import original_of
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.seam import Task, task_backends

logger = logging.getLogger("messaging.listen")

LOOK_SECONDS = 0.5
AHEAD_MS = 60_000  # that a tick may be ahead of the clock, by which servers of a fail-over differ


def schedule() -> tuple[list[Recurring], list[Misconfigured]]:
    """The setting: what can be used of it, and what is wrong with the rest."""
    found, wrong = [], []
    for name, entry in conf.SCHEDULE.items():
        try:
            found.append(parsed(name, entry, zone=settings.TIME_ZONE))
        except Misconfigured as error:
            wrong.append(error)
    return found, wrong


def job_of(recurring: Recurring) -> tuple[Task[..., Any], NewJob]:
    """The task of an entry, in the queue that it names, and a job of it; raises what the import does, Django's
    ``InvalidTask``, an :class:`~messaging.errors.InvalidCall`, ``SuspiciousOperation`` for what is no task."""
    task = original_of(recurring.task, f"of schedule {recurring.name!r}")
    if recurring.queue:
        task = task.using(queue_name=recurring.queue)
    backend: Any = task_backends[task.backend]
    return task, prepare(
        task, recurring.args, recurring.kwargs, defaults=backend.defaults, now=timezone.now()
    ).job


class Clock:
    """Makes the ticks that are due. Many may run, here and elsewhere; one thread at a time may use this one."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._queues: dict[tuple[str, str], Queue] = {}
        self._complained: set[str] = set()
        self.ticked = 0

    def step(self, stopping: threading.Event) -> None:
        """Look once, and wait a little; raises what redis-py raises and a :class:`~messaging.errors.BrokerError`."""
        found, wrong = schedule()
        for error in wrong:
            self._complain(str(error))
        if found:
            self.tick(found)
        stopping.wait(LOOK_SECONDS)

    def tick(self, schedule: list[Recurring], now_ms: int | None = None) -> int:
        """Enqueue what is due; how many tasks."""
        if now_ms is None:
            seconds, micros = self._client.time()
            now_ms = int(seconds) * 1000 + int(micros) // 1000
        ticks: Any = self._client.hgetall(keys.ticks())
        paused: Any = self._client.hkeys(keys.paused_schedules())
        before = self.ticked
        for recurring in schedule:
            last = ticks.get(recurring.name.encode())
            if last is None:
                scripts.advance(self._client, recurring.name, now_ms)
            elif int(last) > now_ms + AHEAD_MS:
                if scripts.advance(self._client, recurring.name, now_ms, instead_of=int(last)):
                    logger.warning(
                        "schedule %r: its latest tick is %d s ahead of the clock of Redis; it goes on from now",
                        recurring.name,
                        (int(last) - now_ms) // 1000,
                    )
            elif (due := recurring.due(int(last), now_ms)) and (
                recurring.name.encode() in paused or self._enqueue(recurring, due, now_ms)
            ):
                scripts.advance(self._client, recurring.name, due[-1])
        return self.ticked - before

    def _enqueue(self, recurring: Recurring, due: Sequence[int], now_ms: int) -> bool:
        """Those of the ticks that become tasks; could it be done? A release that has the task will do it."""
        try:
            task, job = job_of(recurring)
        except Exception as error:  # of the user's module, of Django's Tasks
            self._complain(f"schedule {recurring.name!r}: its task cannot be enqueued: {error}")
            return False
        if len(due) == MOST:
            logger.warning("schedule %r: ticks before the latest %d are given up", recurring.name, MOST)
        keep_ms = max(job.keep_ms, REMEMBERED_MS)
        jobs = [
            msgspec.structs.replace(job, id=id_of(recurring.name, tick, task.queue_name), keep_ms=keep_ms)
            for tick in recurring.chosen(due, now_ms)
        ]
        to = task.backend, task.queue_name
        queue = self._queues.setdefault(to, Queue(self._client, *to))
        self.ticked += sum(each.is_new for each in queue.enqueue(jobs))
        return True

    def _complain(self, text: str) -> None:
        if text not in self._complained:
            self._complained.add(text)
            logger.error("%s", text)


def id_of(name: str, tick_ms: int, queue: str) -> str:
    """The task of a schedule's tick, whoever makes it."""
    return f"{code_of(queue)}.{sha256(f'{name} {tick_ms}'.encode()).hexdigest()[:32]}"
