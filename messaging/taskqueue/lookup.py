"""A task's import path -> the task; a job -> its task as it was when it was enqueued."""

from __future__ import annotations

import sys
from dataclasses import fields
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

from django.core.exceptions import SuspiciousOperation
from django.utils.module_loading import import_string

from messaging.taskqueue.overrides import options_from
from messaging.taskqueue.payloads import Body
from messaging.taskqueue.seam import AnyTask, Task


def task_classes() -> tuple[type, ...]:
    """Django's Task, and the backport's when it is loaded beside it."""
    backport = sys.modules.get("django_tasks.base")
    return (Task,) if backport is None else (Task, backport.Task)


def named_by(path: str) -> Any:
    """What stands under an import path; raises ``ImportError``."""
    module_name, _, name = path.rpartition(".")
    module = sys.modules.get(module_name)
    if module is not None:
        try:
            return getattr(module, name)
        except AttributeError:
            pass
    return import_string(path)


def original_of(path: str, id: str) -> AnyTask:
    """The task that a job names. Raises ``ImportError``; ``SuspiciousOperation`` for what is no task: nobody may have
    any function of this process called by writing its name into Redis."""
    found = named_by(path)
    if not isinstance(found, task_classes()):
        raise SuspiciousOperation(f"Task {id} does not point to a Task ({path})")
    return cast("AnyTask", found)


def rebuilt(original: AnyTask, body: Body, *, backend: str, queue: str, priority: int) -> AnyTask:
    """The task as it was enqueued. Not validated again: what is in a queue stays readable when settings change."""
    run_after = datetime.fromisoformat(body.run_after) if body.run_after else None
    changes: dict[str, Any] = {}
    if original.backend != backend:
        changes["backend"] = backend
    if original.queue_name != queue:
        changes["queue_name"] = queue
    if original.priority != priority:
        changes["priority"] = priority
    if original.run_after != run_after:
        changes["run_after"] = run_after
    if body.options:
        changes |= options_from(body.options, original)
    if not changes:
        return original
    copy = object.__new__(type(original))
    kind: Any = type(original)
    for name in _names_of(kind):
        object.__setattr__(copy, name, changes[name] if name in changes else getattr(original, name))
    return copy


@lru_cache(maxsize=16)
def _names_of(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))
