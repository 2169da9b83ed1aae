"""A foreign list -> calls of a task, first in, first out: ``MESSAGING["TASK_LISTS"] = {"emails": "shop.tasks.send"}``.

Whoever fills it does ``LPUSH emails '{"to": "ann@example.com"}'``. The task is called with the item: a JSON value if it
is JSON, else the text; bytes that are neither come as ``{"data_base64": "..."}``. From there on it is a task as any
other, acknowledged, retried and dead-lettered.

A list and a queue may live on different servers of a Cluster, so no script moves an item from one to the other. An item
goes, in one step, from the list into a hash beside it, under an id that is its job's; then into the queue, which takes
a job once by its id; then it leaves the hash. Whoever dies in between, the next one begins with what is in the hash.
"""

from __future__ import annotations

import logging
import threading
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import redis
from django.core.exceptions import SuspiciousOperation
from django.utils import timezone

from messaging import keys, scripts
from messaging.deliveries import REMEMBERED_MS
from messaging.errors import InvalidCall, Misconfigured, shown
from messaging.foreign import payload_of
from messaging.payload import parse_json
from messaging.taskqueue.enqueueing import prepare
from messaging.taskqueue.job import NewJob, new_id
from messaging.taskqueue.lookup import original_of
from messaging.taskqueue.payloads import Body
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.seam import Task, task_backends

logger = logging.getLogger("messaging.listen")

BATCH = 100
BATCH_BYTES = 4 * 1024 * 1024
WAIT_SECONDS = 0.5
NO_LIMIT = 2**31 - 1  # bytes: what is in the list already is not refused any more


class TaskList:
    """Empties one list into the queue of its task. One thread at a time may use it."""

    def __init__(self, client: redis.Redis, name: str, path: str) -> None:
        self._client = client
        self.name = name
        self._path = path
        self._queue: Queue | None = None
        self.taken = 0

    def step(self, stopping: threading.Event) -> None:
        """Take what is there, or wait up to half a second for it. Raises what redis-py raises, a
        :class:`~messaging.errors.BrokerError`, and :class:`Misconfigured` while there is no such task."""
        task = task_of(self.name, self._path)
        while not stopping.is_set():
            items = self._take(task.queue_name)
            if not items:
                break
            self._enqueue(task, items)
        # Right end to right end of the same list: it waits without taking anything.
        self._client.execute_command("BLMOVE", self.name, self.name, "RIGHT", "RIGHT", WAIT_SECONDS)

    def _take(self, queue: str) -> Mapping[str, bytes]:
        ids = [new_id(queue) for _ in range(BATCH)]
        return dict(sorted(scripts.take(self._client, self.name, ids, most_bytes=BATCH_BYTES).items()))

    def _enqueue(self, task: Task[..., Any], items: Mapping[str, bytes]) -> None:
        if self._queue is None or (self._queue.alias, self._queue.name) != (task.backend, task.queue_name):
            self._queue = Queue(self._client, task.backend, task.queue_name)
        self._queue.enqueue([_job(task, new, item) for new, item in items.items()])
        self._client.hdel(keys.taken(self.name), *items)
        self.taken += len(items)


def task_of(name: str, path: object) -> Task[..., Any]:
    """The task of a list; raises :class:`Misconfigured`."""
    where = f"MESSAGING['TASK_LISTS'][{name!r}]"
    if not isinstance(path, str):
        raise Misconfigured(f"{where} is the import path of a task, not {shown(path)}")
    try:
        return original_of(path, f"of list {name!r}")
    except (ImportError, SuspiciousOperation) as error:
        raise Misconfigured(f"{where}: {error}") from error


def _job(task: Task[..., Any], id: str, item: bytes) -> NewJob:
    backend: Any = task_backends[task.backend]
    defaults = replace(backend.defaults, max_bytes=NO_LIMIT)
    try:
        job = prepare(task, (argument_of(item),), {}, defaults=defaults, now=timezone.now()).job
    except InvalidCall as error:  # what stands in the list cannot be sent back: it ends in the worker
        logger.error("an item of a list becomes job %s without the task's own options: %s", id, error)
        body = Body(task=task.module_path, args=[item.decode(errors="backslashreplace")])
        job = NewJob(id=id, body=msgspec.json.encode(body), task=task.module_path, priority=task.priority)
    return msgspec.structs.replace(job, id=id, keep_ms=max(job.keep_ms, REMEMBERED_MS))


def argument_of(item: bytes) -> Any:
    """An item -> what the task is called with."""
    payload, _, binary = payload_of(item)
    if binary:
        return {"data_base64": b64encode(item).decode()}
    try:
        return parse_json(payload)
    except ValueError:  # JSON that Python cannot hold
        return item.decode()
