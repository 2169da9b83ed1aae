"""Subscribers, the schedule, lists of tasks, TASKS -> what is wrong with them, for ``manage.py check``. Asks nobody.

messaging.E010  a subscribers.py that cannot be imported: events of its subscribers wait
messaging.E011  a subscriber that cannot be called with an event, or whose backend or queue is not there
messaging.E012  an entry of MESSAGING['SCHEDULE'] that cannot work, or whose task is not there
messaging.E013  an entry of MESSAGING['TASK_LISTS'] whose task is not there, or a list that is captured as well
messaging.E014  MESSAGING['ALERTS'] that cannot work
messaging.W010  a backend of ours in TASKS that does not say whether its tasks are part of transactions
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.conf import global_settings, settings
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string

from messaging import subscribers
from messaging.conf import conf
from messaging.errors import Misconfigured


def check_tasks(app_configs: Sequence[AppConfig] | None = None, **options: Any) -> list[CheckMessage]:
    """All of it; a site without any of it need not have Django's Tasks."""
    wrong = list(_modules())
    if subscribers.registered:
        wrong += _subscribers()
    return [*wrong, *check_task_settings(), *_transactions()]


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


def _transactions() -> Iterator[CheckMessage]:
    """Who reads that a task is part of a transaction, and has not said so in the settings, learns it here."""
    backends = getattr(settings, "TASKS", {})
    if backends == getattr(global_settings, "TASKS", {}):
        return  # a site without tasks need not load them
    for alias, backend in backends.items():
        if not isinstance(backend, Mapping) or not _is_ours(backend.get("BACKEND")):
            continue
        options = backend.get("OPTIONS", {})
        if (
            isinstance(options, Mapping) and "ENQUEUE_ON_COMMIT" not in options
        ):  # messaging.E101 says the rest
            yield checks.Warning(
                f"TASKS[{alias!r}] does not say ENQUEUE_ON_COMMIT: a task that is enqueued in a transaction may run "
                "before the commit, and runs after a rollback too",
                hint='"OPTIONS": {"ENQUEUE_ON_COMMIT": True} makes it part of the transaction, as publish() is; False, '
                "which is Django's contract and the default, says that this is meant.",
                id="messaging.W010",
            )


def _is_ours(path: object) -> bool:
    try:
        ours = import_module("messaging.taskqueue.backend").RedisTaskBackend
        found = import_string(str(path))
    except Exception:  # there are no Tasks here, or no such backend: Django's own checks say it
        return False
    return isinstance(found, type) and issubclass(found, ours)


_SETTINGS: Mapping[str, tuple[str, Callable[[], Iterator[CheckMessage]]]] = {
    "SCHEDULE": ("messaging.E012", _schedule),
    "TASK_LISTS": ("messaging.E013", _lists),
    "ALERTS": ("messaging.E014", _alerts),
}
