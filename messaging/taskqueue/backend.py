"""Django's Tasks framework -> jobs in Redis queues, and results from them: ``RedisTaskBackend``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property, partial
from typing import Any

from asgiref.sync import sync_to_async
from django.core.checks import CheckMessage

from messaging.errors import BrokerError, NotDurable
from messaging.taskqueue import checking, confirming, outbox, queues, signalling
from messaging.taskqueue.batches import Batch, Call, batches
from messaging.taskqueue.enqueueing import Prepared
from messaging.taskqueue.job import Enqueued, Job, State, queue_of
from messaging.taskqueue.options import Defaults, defaults_of
from messaging.taskqueue.queue import Queue
from messaging.taskqueue.results import moment, new_result, result_of, set_enqueued_at
from messaging.taskqueue.seam import (
    AnyResult,
    AnyTask,
    BaseTaskBackend,
    TaskResultDoesNotExist,
    task_backends,
)
from messaging.taskqueue.tasks import RedisTask, check_options


class RedisTaskBackend(BaseTaskBackend):
    """``TASKS = {"default": {"BACKEND": "messaging.taskqueue.RedisTaskBackend", "QUEUES": [...], "OPTIONS": {...}}}``

    OPTIONS are those of :class:`~messaging.taskqueue.options.Defaults`. Made for each thread, also while modules are
    imported: it asks nobody and holds nothing; connections are the process's own (:mod:`messaging.taskqueue.queues`).
    """

    task_class = RedisTask
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    @cached_property
    def defaults(self) -> Defaults:
        """OPTIONS, checked; raises :class:`~messaging.errors.Misconfigured`."""
        return defaults_of(self.options)

    def queue(self, name: str) -> Queue:
        """One of its queues, for producers: budgeted, safe in every thread."""
        return queues.queue(self.alias, name)

    def validate_task(self, task: AnyTask) -> None:
        """Django's rules, and those of our options."""
        super().validate_task(task)
        check_options(task)

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        """What is wrong with its settings."""
        return [*super().check(**kwargs), *checking.problems(self.alias, self.queues, self.options)]

    # -- producing

    def enqueue(self, task: AnyTask, args: Any, kwargs: Mapping[str, Any]) -> Any:
        """Put a call into the task's queue; what comes back is READY.

        Inside a transaction whose commit it is to wait for (``ENQUEUE_ON_COMMIT``, ``outbox``) it becomes a row of it.
        Raises Django's ``InvalidTask``, an :class:`~messaging.errors.InvalidCall`, a
        :class:`~messaging.errors.BrokerError` when Redis does not take it.
        """
        return self.enqueue_many([(task, args, kwargs)])[0]

    async def aenqueue(self, task: AnyTask, args: Any, kwargs: Mapping[str, Any]) -> Any:
        """:meth:`enqueue` for coroutines, without a thread in between; only a row for the outbox needs one."""
        return (await self.aenqueue_many([(task, args, kwargs)]))[0]

    def enqueue_many(self, calls: Iterable[Call]) -> list[AnyResult]:
        """(task, arguments, keyword arguments) of many calls -> their results, hundreds in a round trip.

        All are checked before the first is sent. If Redis fails on the way, the
        :class:`~messaging.errors.BrokerError` carries in ``enqueued`` the results of those that are queued. Where their
        queue's DURABILITY was not confirmed in time, all are queued, and a ``NotDurable`` says so.
        """
        done: dict[int, AnyResult] = {}
        missed: dict[str, str] = {}  # queue -> what its level of durability lacked
        for batch in batches(self, calls):
            if batch.database is not None:
                done |= self._put(batch, batch.database)
                continue
            drafts: list[AnyResult] = []
            try:
                answers = self._enter(batch, missed, partial(self._draft, batch, drafts))
            except BrokerError as error:
                error.enqueued = list(done.values())
                raise
            new = self._accepted(batch, drafts, answers)
            signalling.enqueued(self, new.values())
            done |= new
            for place, prepared, answer in self._others(batch, answers):
                done[place] = self._found(self._job(answer.id)) or self._assumed(prepared, answer)
        return self._confirmed([done[place] for place in range(len(done))], missed)

    async def aenqueue_many(self, calls: Iterable[Call]) -> list[AnyResult]:
        """:meth:`enqueue_many` for coroutines."""
        done: dict[int, AnyResult] = {}
        missed: dict[str, str] = {}  # queue -> what its level of durability lacked
        for batch in batches(self, calls):
            if batch.database is not None:
                done |= await sync_to_async(self._put)(batch, batch.database)
                continue
            try:
                with queues.breaking():
                    answers = await self._aenter(batch, missed)
            except BrokerError as error:
                error.enqueued = list(done.values())
                raise
            drafts: list[AnyResult] = []
            self._draft(batch, drafts)
            new = self._accepted(batch, drafts, answers)
            await signalling.aenqueued(self, new.values())
            done |= new
            for place, prepared, answer in self._others(batch, answers):
                done[place] = self._found(await self._ajob(answer.id)) or self._assumed(prepared, answer)
        return self._confirmed([done[place] for place in range(len(done))], missed)

    def _enter(self, batch: Batch, missed: dict[str, str], meanwhile: Callable[[], object]) -> list[Enqueued]:
        """Into the queue, as safe as it asks for."""
        level = self.defaults.level(batch.queue)
        if not level:
            return self.queue(batch.queue).enqueue(batch.jobs, meanwhile=meanwhile)
        meanwhile()
        with queues.breaking():
            answers, missing = confirming.enqueue(self.queue(batch.queue), batch.jobs, level)
        if missing:
            missed[batch.queue] = missing
        return answers

    async def _aenter(self, batch: Batch, missed: dict[str, str]) -> list[Enqueued]:
        """:meth:`_enter` for coroutines."""
        level = self.defaults.level(batch.queue)
        queue = await queues.async_queue(self.alias, batch.queue, patience=level.seconds if level else 0.0)
        if not level:
            return await queue.enqueue(batch.jobs)
        answers, missing = await confirming.aenqueue(queue, batch.jobs, level)
        if missing:
            missed[batch.queue] = missing
        return answers

    def _confirmed(self, results: list[AnyResult], missed: Mapping[str, str]) -> list[AnyResult]:
        """The results, or, with them inside, :class:`~messaging.errors.NotDurable`."""
        if not missed:
            return results
        said = "; ".join(
            f"queue {name!r} asks for {str(self.defaults.level(name))!r}, and within "
            f"{self.defaults.durability_seconds:g} s {missing}"
            for name, missing in missed.items()
        )
        error = NotDurable(
            f"enqueued, but a crash or a fail-over may lose it: {said}. It will run: do not enqueue it again",
            queues=[*missed],
        )
        error.enqueued = results
        raise error

    def _put(self, batch: Batch, database: str) -> dict[int, AnyResult]:
        """Into the outbox; the signal waits for the commit, like the task."""
        results = [self._result(each, each.job.id, each.at) for each in batch.prepared]
        outbox.put(
            [outbox.Waiting(self.alias, batch.queue, job) for job in batch.jobs],
            using=database,
            then=lambda: signalling.enqueued(self, results),
        )
        return dict(zip(batch.places, results, strict=True))

    def _draft(self, batch: Batch, drafts: list[AnyResult]) -> None:
        """Their results, but for what only the queue can say: whether they are new, and when they were enqueued."""
        drafts += [self._result(each, each.job.id, None) for each in batch.prepared]

    def _accepted(
        self, batch: Batch, drafts: Sequence[AnyResult], answers: Sequence[Enqueued]
    ) -> dict[int, AnyResult]:
        """The results of those that are new in their queue, by their places."""
        times = {at_ms: moment(ms=at_ms) for at_ms in {each.at_ms for each in answers}}
        new = {}
        for place, draft, answer in zip(batch.places, drafts, answers, strict=True):
            if answer.is_new:
                set_enqueued_at(draft, times[answer.at_ms])
                new[place] = draft
        return new

    def _others(self, batch: Batch, answers: Sequence[Enqueued]) -> Iterator[tuple[int, Prepared, Enqueued]]:
        """Those in whose way another one is, which holds their unique lock."""
        triples = zip(batch.places, batch.prepared, answers, strict=True)
        return (each for each in triples if not each[2].is_new)

    def _assumed(self, prepared: Prepared, answer: Enqueued) -> AnyResult:
        """The result of a job that has ended, and is forgotten, since it was found in the way."""
        return self._result(prepared, answer.id, moment(ms=answer.at_ms))

    def _result(self, prepared: Prepared, id: str, enqueued_at: datetime | None) -> AnyResult:
        return new_result(
            prepared.task, id, prepared.args, prepared.kwargs, backend=self.alias, enqueued_at=enqueued_at
        )

    # -- results

    def get_result(self, result_id: str) -> AnyResult:
        """The result of a task by its id, in any process.

        Raises ``TaskResultDoesNotExist`` for an id that is unknown, malformed or expired, ``ImportError`` and
        ``SuspiciousOperation`` when it belongs to nothing that is a task here.
        """
        return self._found(self._job(result_id)) or self._pending(result_id)

    async def aget_result(self, result_id: str) -> AnyResult:
        """:meth:`get_result` for coroutines."""
        found = self._found(await self._ajob(result_id))
        if found is None and self.defaults.enqueue_on_commit:
            return await sync_to_async(self._pending)(result_id)
        return found or self._pending(result_id)

    def _job(self, id: str) -> tuple[str, Job] | None:
        name = _queue_in(id, self.queues)
        if name == "":
            name = queue_of(id, queues.known(self.alias))
        job = None if name is None else self.queue(name).get(id)
        return None if name is None or job is None else (name, job)

    async def _ajob(self, id: str) -> tuple[str, Job] | None:
        name = _queue_in(id, self.queues)
        if name == "":
            name = queue_of(id, await queues.aknown(self.alias))
        job = None if name is None else await (await queues.async_queue(self.alias, name)).get(id)
        return None if name is None or job is None else (name, job)

    def _found(self, found: tuple[str, Job] | None) -> AnyResult | None:
        return None if found is None else result_of(found[1], backend=self.alias, queue=found[0])

    def _pending(self, id: str) -> AnyResult:
        """One that waits in an outbox. Asked only where tasks wait for commits by default."""
        found = outbox.find(id, alias=self.alias) if self.defaults.enqueue_on_commit else None
        if found is None:
            raise TaskResultDoesNotExist(id)
        queue, new = found
        job = Job(id=id, state=State.READY, task=new.task, body=new.body, priority=new.priority)
        return result_of(job, backend=self.alias, queue=queue)


def _queue_in(id: object, known: Iterable[str]) -> str | None:
    """The queue that an id tells; ``""`` for a digest that is none of the known ones', ``None`` for no id of ours."""
    if not isinstance(id, str):
        return None
    code, dot, _ = id.rpartition(".")
    if not dot or not code:
        return None
    return (queue_of(id, known) or "") if code.startswith("~") else code


def enqueue_many(calls: Iterable[Call]) -> list[AnyResult]:
    """(task, arguments, keyword arguments) of many calls, of any tasks with backends of ours -> their results, in their
    order. See :meth:`RedisTaskBackend.enqueue_many`."""
    results: dict[int, AnyResult] = {}
    for backend, places, calls_of_it in _by_backend(calls):
        results |= zip(places, backend.enqueue_many(calls_of_it), strict=True)
    return [results[place] for place in range(len(results))]


async def aenqueue_many(calls: Iterable[Call]) -> list[AnyResult]:
    """:func:`enqueue_many` for coroutines."""
    results: dict[int, AnyResult] = {}
    for backend, places, calls_of_it in _by_backend(calls):
        results |= zip(places, await backend.aenqueue_many(calls_of_it), strict=True)
    return [results[place] for place in range(len(results))]


def _by_backend(calls: Iterable[Call]) -> Iterator[tuple[RedisTaskBackend, list[int], list[Call]]]:
    found: dict[str, tuple[Any, list[int], list[Call]]] = {}
    for place, call in enumerate(calls):
        alias = call[0].backend
        if alias not in found:
            found[alias] = task_backends[alias], [], []
        found[alias][1].append(place)
        found[alias][2].append(call)
    yield from found.values()
