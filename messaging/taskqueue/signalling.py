"""A result -> Django's signals ``task_enqueued task_started task_finished``. A failing receiver is logged."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.dispatch import Signal

from messaging.taskqueue.seam import AnyResult, task_enqueued, task_finished, task_started

if TYPE_CHECKING:
    from messaging.taskqueue.backend import RedisTaskBackend

logger = logging.getLogger("messaging.work")

_LOGGERS = (logging.getLogger("django.tasks"), logging.getLogger("django_tasks"))
_LOGGING = ("django.tasks.signals", "django_tasks.signals")  # where Django's own receivers live


def enqueued(backend: RedisTaskBackend, results: Iterable[AnyResult]) -> None:
    """The queue, or the outbox, has them."""
    if _nobody_hears(task_enqueued, type(backend)):
        return
    for each in results:
        _send(task_enqueued, backend, each)


async def aenqueued(backend: RedisTaskBackend, results: Iterable[AnyResult]) -> None:
    """:func:`enqueued` in an event loop; receivers that are no coroutines run in a thread, as Django does it."""
    if _nobody_hears(task_enqueued, type(backend)):
        return
    for each in results:
        await _asend(task_enqueued, backend, each)


def started(backend: RedisTaskBackend, result: AnyResult) -> None:
    """An attempt begins; the result is RUNNING."""
    _send(task_started, backend, result)


async def astarted(backend: RedisTaskBackend, result: AnyResult) -> None:
    """:func:`started` in an event loop."""
    await _asend(task_started, backend, result)


def finished(backend: RedisTaskBackend, result: AnyResult) -> None:
    """It has succeeded or failed for good. Called inside the ``except`` block, so that Django logs the traceback."""
    _send(task_finished, backend, result)


async def afinished(backend: RedisTaskBackend, result: AnyResult) -> None:
    """:func:`finished` in an event loop."""
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


def _only_logs(signal: Signal, sender: type) -> bool:
    sync_receivers, async_receivers = signal._live_receivers(sender)
    return not async_receivers and all(each.__module__ in _LOGGING for each in sync_receivers)


def _nobody_hears(signal: Signal, sender: type) -> bool:
    """Are there none but Django's receivers, which write lines of DEBUG that nobody reads?"""
    return not any(each.isEnabledFor(logging.DEBUG) for each in _LOGGERS) and _only_logs(signal, sender)
