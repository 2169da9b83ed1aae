"""Subscribers, the schedule and lists of tasks -> what is wrong with them, for ``manage.py check``. Asks nobody.

messaging.E010  a subscribers.py that cannot be imported: events of its subscribers wait
messaging.E011  a subscriber that cannot be called with an event, or whose backend or queue is not there
messaging.E012  an entry of MESSAGING['SCHEDULE'] that cannot work, or whose task is not there
messaging.E013  an entry of MESSAGING['TASK_LISTS'] whose task is not there, or a list that is captured as well
messaging.E014  MESSAGING['ALERTS'] that cannot work
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error

from messaging import subscribers
from messaging.conf import conf
from messaging.errors import Misconfigured


def check_tasks(app_configs: Sequence[AppConfig] | None = None, **options: Any) -> list[CheckMessage]:
    """All of it; a site without any of it need not have Django's Tasks."""
    wrong = list(_modules())
    if subscribers.registered:
        wrong += _subscribers()
    return [*wrong, *check_task_settings()]


def check_task_settings() -> list[CheckMessage]:
    """What a listener does for tasks, as far as settings say it: without these it has nothing to ask Tasks for."""
    wrong: list[CheckMessage] = []
    for name, (number, check) in _SETTINGS.items():
        try:
            if getattr(conf, name):
                wrong += check()
        except Misconfigured:
            continue  # messaging.E002 says so
        except ModuleNotFoundError as error:
            if error.name != "django_tasks":
                raise
            wrong.append(
                Error(
                    f"MESSAGING[{name!r}] needs Django's Tasks, which are not installed",
                    hint="Django has them from 6.0 on; before that: pip install django-tasks.",
                    id=number,
                )
            )
    return wrong


def _modules() -> Iterator[CheckMessage]:
    for module, traceback in subscribers.failures.items():
        yield Error(
            f"{module} cannot be imported: {traceback.rpartition(chr(10))[2]}",
            hint="Events of the subscribers in it wait for a release that knows them.",
            id="messaging.E010",
        )


def _alerts() -> Iterator[CheckMessage]:
    try:
        import_module("messaging.alerts").thresholds()
    except Misconfigured as error:
        yield Error(str(error), hint="messaging/alerts.py shows what it may be.", id="messaging.E014")


def _subscribers() -> Iterator[CheckMessage]:
    for subscriber in subscribers.registered.values():
        try:
            import_module("messaging.deliveries").template_of(subscriber)
        except Exception as error:  # of Django's Tasks, of annotations
            yield Error(
                f"subscriber {subscriber.name!r} cannot be dispatched to: {error}",
                hint="settings.TASKS needs messaging.taskqueue.RedisTaskBackend as the subscriber's backend."
                if not isinstance(error, Misconfigured)
                else None,
                id="messaging.E011",
            )


def _schedule() -> Iterator[CheckMessage]:
    recurring = import_module("messaging.recurring")
    found, wrong = recurring.schedule()
    for error in wrong:
        yield Error(str(error), hint="messaging/schedule.py shows examples.", id="messaging.E012")
    for entry in found:
        try:
            recurring.job_of(entry)
        except Exception as error:  # of the user's module, of Django's Tasks
            yield Error(
                f"MESSAGING['SCHEDULE'][{entry.name!r}]: {error}",
                hint=f"{entry.task!r} has to be the import path of a function with @task.",
                id="messaging.E012",
            )


def _lists() -> Iterator[CheckMessage]:
    tasklists = import_module("messaging.tasklists")
    for name, path in conf.TASK_LISTS.items():
        try:
            tasklists.task_of(name, path)
        except Misconfigured as error:
            yield Error(
                str(error), hint="It has to be the import path of a function with @task.", id="messaging.E013"
            )
        if name in conf.CAPTURE_LISTS:
            yield Error(
                f"list {name!r} is in MESSAGING['TASK_LISTS'] and in MESSAGING['CAPTURE_LISTS']",
                hint="Each of its items would go to whichever is faster: take it out of one of them.",
                id="messaging.E013",
            )


_SETTINGS: Mapping[str, tuple[str, Callable[[], Iterator[CheckMessage]]]] = {
    "SCHEDULE": ("messaging.E012", _schedule),
    "TASK_LISTS": ("messaging.E013", _lists),
    "ALERTS": ("messaging.E014", _alerts),
}
