"""What ``using()`` changed of a task -> JSON in the job's body, and back, so that a result's task equals the enqueued.

Only what differs from the task as its module has it: the rest is the code's, so that a new release changes it also for
jobs that wait. Functions and exception classes travel as import paths.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils.module_loading import import_string

from messaging.errors import InvalidOption, TaskUnreadable, shown
from messaging.taskqueue.backoff import Exponential
from messaging.taskqueue.seam import AnyTask
from messaging.taskqueue.tasks import given_options


def overrides_of(task: AnyTask, original: object) -> dict[str, Any]:
    """A task and what its module has under its name -> the options that differ, as JSON values."""
    given = given_options(task)
    if not given or task is original:
        return {}
    return {
        name: _to_json(value, name) for name, value in given.items() if getattr(original, name, None) != value
    }


def options_from(overrides: dict[str, Any]) -> dict[str, Any]:
    """The way back; raises ``ImportError`` for a function of another release, else :class:`TaskUnreadable`."""
    try:
        return {name: _from_json(value) for name, value in overrides.items()}
    except (TypeError, ValueError, KeyError) as error:
        raise TaskUnreadable(f"options of the job cannot be read: {error}: {shown(overrides)}") from None


def _to_json(value: Any, name: str) -> Any:
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, timedelta):
        return {"days": value.days, "seconds": value.seconds, "microseconds": value.microseconds}
    if isinstance(value, datetime):
        return {"at": value.isoformat()}
    if isinstance(value, Exponential):
        return {"first": value.first, "factor": value.factor, "most": value.most}
    if isinstance(value, tuple):
        return [_to_json(each, name) for each in value]
    path = f"{getattr(value, '__module__', None)}.{getattr(value, '__qualname__', None)}"
    try:
        found: object = import_string(path)
    except ImportError:
        found = None
    if found is not value:
        raise InvalidOption(f"using({name}=...) takes what can be imported by its name, not {shown(value)}")
    return {"path": path}


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_from_json(each) for each in value)
    if not isinstance(value, dict):
        return value
    if "path" in value:
        return import_string(value["path"])
    if "at" in value:
        return datetime.fromisoformat(value["at"])
    return Exponential(**value) if "first" in value else timedelta(**value)
