"""A result -> Django's signals ``task_enqueued task_started task_finished``. A failing receiver is logged."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import django
from django.dispatch import Signal

from messaging.taskqueue.seam import AnyResult, TaskResultStatus, task_enqueued, task_finished, task_started

if TYPE_CHECKING:
    from messaging.taskqueue.backend import RedisTaskBackend

logger = logging.getLogger("messaging.work")

_DJANGOS = logging.getLogger("django.tasks" if django.VERSION >= (6, 0) else "django_tasks")
_LOGGING = ("django.tasks.signals", "django_tasks.signals")  # where Django's own receivers live
_only_loggers: dict[tuple[Signal, type], list[Any]] = {}  # the receivers of which that is known


def enqueued(backend: RedisTaskBackend, results: Iterable[AnyResult]) -> None:
    """The queue, or the outbox, has them."""
    if _is_heard(task_enqueued, backend, logging.DEBUG):
        for each in results:
            _send(task_enqueued, backend, each)


async def aenqueued(backend: RedisTaskBackend, results: Iterable[AnyResult]) -> None:
    """:func:`enqueued` in an event loop; receivers that are no coroutines run in a thread, as Django does it."""
    if _is_heard(task_enqueued, backend, logging.DEBUG):
        for each in results:
            await _asend(task_enqueued, backend, each)


def started(backend: RedisTaskBackend, result: AnyResult) -> None:
    """An attempt begins; the result is RUNNING."""
    if _is_heard(task_started, backend, logging.INFO):
        _send(task_started, backend, result)


async def astarted(backend: RedisTaskBackend, result: AnyResult) -> None:
    """:func:`started` in an event loop."""
    if _is_heard(task_started, backend, logging.INFO):
        await _asend(task_started, backend, result)


def finished(backend: RedisTaskBackend, result: AnyResult) -> None:
    """It has succeeded or failed for good. Called inside the ``except`` block, so that Django logs the traceback."""
    if _is_heard(task_finished, backend, _level(result)):
        _send(task_finished, backend, result)


async def afinished(backend: RedisTaskBackend, result: AnyResult) -> None:
    """:func:`finished` in an event loop."""
    if _is_heard(task_finished, backend, _level(result)):
        await _asend(task_finished, backend, result)


def _send(signal: Signal, backend: RedisTaskBackend, result: AnyResult) -> None:
    try:
        signal.send(sender=type(backend), task_result=result)
    except Exception:
        logger.exception("a receiver of a signal of task id=%s failed", result.id)


async def _asend(signal: Signal, backend: RedisTaskBackend, result: AnyResult) -> None:
    """Receivers that are no coroutines cost a change of threads, many times as much as a short task: not for those of
    Django that write its log lines, which are all there are in most sites."""
    if _only_logs(signal, type(backend)):
        _send(signal, backend, result)
        return
    try:
        await signal.asend(sender=type(backend), task_result=result)
    except Exception:
        logger.exception("a receiver of a signal of task id=%s failed", result.id)


def _level(result: AnyResult) -> int:
    return logging.ERROR if result.status is TaskResultStatus.FAILED else logging.INFO


def _is_heard(signal: Signal, backend: RedisTaskBackend, level: int) -> bool:
    """Is there anybody but Django's receivers, which write a line of this level that nobody reads?"""
    return _DJANGOS.isEnabledFor(level) or not _only_logs(signal, type(backend))


def _only_logs(signal: Signal, sender: type) -> bool:
    """Asking a signal for its receivers costs as much as a short task: asked again only when they have changed."""
    if _only_loggers.get((signal, sender)) == signal.receivers:
        return True
    as_they_are = list(signal.receivers)
    sync_receivers, async_receivers = signal._live_receivers(sender)
    if async_receivers or any(each.__module__ not in _LOGGING for each in sync_receivers):
        return False
    _only_loggers[signal, sender] = as_they_are
    return True
