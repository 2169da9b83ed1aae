"""What a listener does for tasks -> its loops: subscribers' events, recurring tasks, lists, the tasks' outbox, alerts.

These stand above the listener, which imports this module by its name when it begins to work, and does without where
nobody has Django's Tasks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import redis

from messaging import log
from messaging.alerts import Watch
from messaging.conf import conf
from messaging.cursors import LostFence
from messaging.dispatch import Dispatcher
from messaging.loop import Loop, Outages
from messaging.recurring import Clock
from messaging.subscriptions import Subscriptions
from messaging.tasklists import TaskList
from messaging.taskqueue import outbox


def loops(client: redis.Redis, outages: Outages, *, block_ms: Callable[[], int]) -> list[Loop]:
    """All of them, not started."""
    subscriptions = Subscriptions(client)
    partitions = log.partitions_to_drain(client)
    return [
        *(_dispatch(Dispatcher(client, each, subscriptions), outages, block_ms) for each in partitions),
        Loop("outbox of tasks", outbox.sweep_step, outages=outages),
        *([Loop("alerts", Watch(client).step, outages=outages)] if conf.ALERTS else ()),
        *([Loop("schedule", Clock(client).step, outages=outages)] if conf.SCHEDULE else ()),
        *(
            Loop(f"list {name!r} of tasks", TaskList(client, name, path).step, outages=outages)
            for name, path in conf.TASK_LISTS.items()
        ),
    ]


def _dispatch(dispatcher: Dispatcher, outages: Outages, block_ms: Callable[[], int]) -> Loop:
    def step(stopping: threading.Event) -> None:
        dispatcher.step(stopping, block_ms=block_ms())

    name = f"dispatch of partition {dispatcher.partition}"
    return Loop(name, step, outages=outages, recover=dispatcher.reload, fatal=(LostFence,))
