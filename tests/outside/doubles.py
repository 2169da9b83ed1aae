"""Our backend as the outside suites expect theirs: one that remembers what it was given, one that runs it at once."""

from typing import Any

from asgiref.sync import sync_to_async

from messaging.taskqueue import RedisTaskBackend
from messaging.taskqueue.job import State
from tests.outside.inline import burst

QUEUES = ("default", "queue-1", "queue_1", "queue-2", "unknown_queue")


class DummyBackend(RedisTaskBackend):
    """``results`` and ``clear``, as the one that Django has for tests; both ask Redis."""

    @property
    def results(self) -> list[Any]:
        waiting = [
            (job.enqueued_ms, job.id)
            for name in QUEUES
            for state in (State.READY, State.DELAYED)
            for job in self.queue(name).page(state)
        ]
        return [self.get_result(each) for _, each in sorted(waiting)]

    def clear(self) -> None:
        for name in QUEUES:
            for state in set(State) - {State.RUNNING}:
                while self.queue(name).purge(state):
                    pass


class ImmediateBackend(RedisTaskBackend):
    """A task goes through Redis, and a worker's code runs it before ``enqueue`` returns."""

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        result = super().enqueue(task, args, kwargs)
        burst(self, task.queue_name)
        return self.get_result(result.id)

    async def aenqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        return await sync_to_async(self.enqueue)(task, args, kwargs)
