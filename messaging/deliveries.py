"""A subscriber's name -> the task that calls it with an event; a subscriber and an event -> the job that does so once.

Workers find the task of a job by importing its path. Those of subscribers stand in this module under the subscriber's
name, with colons for its dots: ``messaging.deliveries.shop:subscribers:on_order``. A name that no subscriber of this
process has cannot be imported, so its jobs are put back and wait for a release that knows it.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec
from django.utils import timezone

from messaging.binding import Binding, bind
from messaging.decoder import NotAnEvent, decode
from messaging.errors import PayloadRefused
from messaging.event import Event
from messaging.subscribers import Subscriber, registered
from messaging.taskqueue.enqueueing import prepare
from messaging.taskqueue.job import NewJob, code_of
from messaging.taskqueue.payloads import Body
from messaging.taskqueue.seam import task_backends
from messaging.taskqueue.tasks import RedisTask

REMEMBERED_MS = (
    3600 * 1000
)  # the least that the id of a success is kept, so that a dispatch done twice is no harm
MAX_ORDER_KEY = 200  # characters

_tasks: dict[str, tuple[Subscriber, RedisTask[..., Any]]] = {}
_encode = msgspec.json.Encoder().encode


def __getattr__(name: str) -> Any:
    """A task by the last part of its path."""
    subscriber = registered.get(name.replace(":", "."))
    if subscriber is None:
        raise AttributeError(f"this release has no subscriber {name.replace(':', '.')!r}")
    return task_of(subscriber)


def task_of(subscriber: Subscriber) -> RedisTask[..., Any]:
    """The task that calls a subscriber. Raises :class:`~messaging.errors.Misconfigured` when the function cannot be
    called with an event, Django's ``InvalidTask`` when the backend refuses its queue or options."""
    found = _tasks.get(subscriber.name)
    if found is not None and found[0] is subscriber:
        return found[1]
    task: RedisTask[..., Any] = RedisTask(
        func=_caller(subscriber, bind(subscriber.function)),
        priority=subscriber.priority,
        queue_name=subscriber.queue,
        backend=subscriber.backend,
        **subscriber.options,
    )
    _tasks[subscriber.name] = subscriber, task
    return task


def _caller(subscriber: Subscriber, binding: Binding) -> Callable[..., Any]:
    """What a worker calls: an event as it stands in the log, and where."""
    function = subscriber.function

    async def acall(envelope: str, location: str | None = None) -> None:
        await function(*binding(_event(envelope, location)))

    def call(envelope: str, location: str | None = None) -> None:
        function(*binding(_event(envelope, location)))

    caller: Callable[..., Any] = acall if subscriber.is_async else call
    caller.__module__ = __name__
    caller.__name__ = caller.__qualname__ = subscriber.name.replace(".", ":")
    caller.__doc__ = function.__doc__
    return caller


def _event(envelope: str, location: str | None) -> Event:
    try:
        return decode(envelope.encode(), location=location)
    except (NotAnEvent, UnicodeEncodeError) as error:
        raise PayloadRefused(f"not an event: {error}") from error


# -- jobs


def template_of(subscriber: Subscriber) -> NewJob:
    """What all jobs of a subscriber have in common; raises what :func:`task_of` raises."""
    task = task_of(subscriber)
    backend: Any = task_backends[subscriber.backend]
    job = prepare(task, ("",), {}, defaults=backend.defaults, now=timezone.now()).job
    return msgspec.structs.replace(job, id="", body=b"", keep_ms=max(job.keep_ms, REMEMBERED_MS))


def job_for(
    template: NewJob, event: Event, envelope: bytes, *, name: str, queue: str, ordered_by: str, once: str = ""
) -> NewJob:
    """One event for one subscriber: the same again has the same id, so that a queue takes it once. ``once`` names a
    replay, whose jobs are others."""
    order = {"key": event.key, "channel": event.channel}.get(ordered_by, "")
    return msgspec.structs.replace(
        template,
        id=id_of(event, name=name, queue=queue, once=once),
        body=_encode(Body(task=template.task, args=[envelope.decode(), event.location])),
        order_key=_order_key(name, order) if order else "",
    )


def id_of(event: Event, *, name: str, queue: str, once: str = "") -> str:
    """The id of the job that brings an event to a subscriber."""
    whole = f"{event.source}\0{event.id}\0{name}\0{once}"
    return f"{code_of(queue)}.{sha256(whole.encode(errors='surrogatepass')).hexdigest()[:32]}"


def _order_key(name: str, order: str) -> str:
    key = f"{name}:{order}".replace("\0", "\\0")
    return key if len(key) <= MAX_ORDER_KEY else sha256(key.encode(errors="surrogatepass")).hexdigest()
