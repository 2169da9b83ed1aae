"""What is enqueued during a test -> a list of calls, which run when the test says so; nothing leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from django.utils import timezone

from messaging.taskqueue.backend import RedisTaskBackend
from messaging.taskqueue.batches import Call, batches
from messaging.taskqueue.results import new_result
from messaging.taskqueue.seam import AnyResult, AnyTask
from messaging.testing.kept import Kept, commit_of


@dataclass(frozen=True, slots=True)
class Enqueued:
    """One call."""

    task: AnyTask
    args: list[Any]
    kwargs: dict[str, Any]
    result: AnyResult  # what the caller got

    @property
    def name(self) -> str:
        """The import path of the task."""
        return str(self.task.module_path)

    def run(self) -> Any:
        """Call the task, here and now; gives what it returns, raises what it raises."""
        return self.task.call(*self.args, **self.kwargs)


class EnqueuedTasks(Kept[Enqueued]):
    """The calls, in the order of their enqueueing."""

    def of(self, task: AnyTask | str) -> list[Enqueued]:
        """Those of one task, or of one import path."""
        path = task if isinstance(task, str) else task.module_path
        return [each for each in self if each.name == path]

    def run(self) -> list[Any]:
        """Run them all, and those that they enqueue; what they return. None is left then."""
        returned: list[Any] = []
        while waiting := list(self):
            self.clear()
            returned += [each.run() for each in waiting]
        return returned


@contextmanager
def captured_tasks() -> Iterator[EnqueuedTasks]:
    """Keep what is enqueued into our backends during a ``with`` block, in a transaction or not. Calls are checked as
    ever; options such as ``unique`` and retries need a broker: see :func:`~messaging.testing.memory_broker`."""
    kept = EnqueuedTasks()

    def enqueue_many(self: RedisTaskBackend, calls: Iterable[Call]) -> list[AnyResult]:
        found: dict[int, AnyResult] = {}
        for batch in batches(self, calls):
            commit = None if batch.database is None else commit_of(batch.database)
            for place, each in zip(batch.places, batch.prepared, strict=True):
                found[place] = new_result(
                    each.task,
                    each.job.id,
                    each.args,
                    each.kwargs,
                    backend=self.alias,
                    enqueued_at=timezone.now(),
                )
                kept.keep([Enqueued(each.task, each.args, each.kwargs, found[place])], commit)
        return [found[place] for place in range(len(found))]

    async def aenqueue_many(self: RedisTaskBackend, calls: Iterable[Call]) -> list[AnyResult]:
        return enqueue_many(self, calls)

    with mock.patch.multiple(RedisTaskBackend, enqueue_many=enqueue_many, aenqueue_many=aenqueue_many):
        yield kept
