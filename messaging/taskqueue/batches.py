"""Calls of tasks -> checked jobs, in batches that have one way: a queue, or the outbox in a database. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from messaging.commits import in_transaction
from messaging.conf import conf
from messaging.errors import InvalidCall, shown
from messaging.taskqueue import outbox
from messaging.taskqueue.enqueueing import Form, Prepared
from messaging.taskqueue.job import NewJob
from messaging.taskqueue.options import Defaults
from messaging.taskqueue.seam import AnyTask
from messaging.taskqueue.tasks import InvalidTaskOption

if TYPE_CHECKING:
    from messaging.taskqueue.backend import RedisTaskBackend

CHUNK = 500  # jobs of one round trip

Call = tuple[AnyTask, Any, Mapping[str, Any]]  # a task, positional arguments, keyword arguments


class Batch(NamedTuple):
    """Jobs that go one way together, each with its place among all that were asked for."""

    queue: str
    database: str | None  # of the outbox; None: straight to Redis
    places: list[int]
    prepared: list[Prepared]

    @property
    def jobs(self) -> list[NewJob]:
        return [each.job for each in self.prepared]


def batches(backend: RedisTaskBackend, calls: Iterable[Call]) -> list[Batch]:
    """All are checked, whatever may be wrong with the last one, before the first is sent."""
    defaults, now = backend.defaults, datetime.now(UTC)
    forms: dict[int, tuple[Form, str | None]] = {}  # by the task's identity, which lives as long as its form
    open_ones: dict[tuple[str, str | None], Batch] = {}
    done: list[Batch] = []
    for place, call in enumerate(calls):
        task, args, kwargs = _checked(call)
        found = forms.get(id(task))
        if found is None:
            backend.validate_task(task)
            database = database_of(task, defaults)
            form = Form(task, defaults=defaults, now=now, in_outbox=database is not None)
            found = forms[id(task)] = form, database
        form, database = found
        way = task.queue_name, database
        batch = open_ones.get(way)
        if batch is None:
            batch = open_ones[way] = Batch(task.queue_name, database, [], [])
            done.append(batch)
        batch.places.append(place)
        batch.prepared.append(form.filled(args, kwargs))
        if len(batch.places) == CHUNK:
            del open_ones[way]
    return done


def _checked(call: Any) -> Call:
    if isinstance(call, tuple) and len(call) == 3 and isinstance(call[2], (dict, Mapping)):
        return call
    raise InvalidCall(f"a call is (task, arguments, keyword arguments), not {shown(call)}")


def database_of(task: AnyTask, defaults: Defaults) -> str | None:
    """In which database's outbox the task has to wait; ``None``: it goes straight to Redis."""
    asked = getattr(task, "outbox", None)
    if asked is None:
        if defaults.enqueue_on_commit is False:
            return None
        using = conf.DATABASE if defaults.enqueue_on_commit is True else defaults.enqueue_on_commit
        return using if in_transaction(using) else None
    if asked is False:
        return None
    using = conf.DATABASE if asked is True else asked
    if using not in (known := outbox.databases()):
        raise InvalidTaskOption(
            f"task {task.module_path}: outbox={using!r} is a database whose outbox nobody empties; those that are: "
            f"{', '.join(known)} (MESSAGING['DATABASE'], and ENQUEUE_ON_COMMIT of a backend)"
        )
    return using
