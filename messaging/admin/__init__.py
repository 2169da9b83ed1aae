"""The tables -> pages of Django's admin: post a message, browse what is stored, publish it again.

``messages`` is the page of messages, made of ``changelist`` (its cost is bounded on any number of rows), ``filters``,
``columns``, ``detail`` and ``posting`` (every view that publishes); ``hearing`` says who may hear which channel;
``quarantine`` with ``reasons`` is what could not be stored, ``pending`` the tasks that wait for their queues,
``tables`` the read-only others. What lives in Redis only is made of ``consoles`` and ``samples`` (what these pages
share), ``queues`` with ``charts``, ``tasks`` with ``attempts``, ``deadletters`` with ``asked`` and ``quotes``,
``schedules`` and ``workers``.
"""

from __future__ import annotations

from messaging.admin import (
    deadletters,
    messages,
    pending,
    quarantine,
    queues,
    schedules,
    tables,
    tasks,
    workers,
)

__all__ = [
    "deadletters",
    "messages",
    "pending",
    "quarantine",
    "queues",
    "schedules",
    "tables",
    "tasks",
    "workers",
]
