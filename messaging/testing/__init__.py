"""What is published or enqueued in a user's tests -> lists to look at, and work that is done when the test says so.

    from messaging.testing import captured, captured_tasks, deliver, memory_broker, run_tasks

``captured()`` keeps what ``publish()`` was given and ``captured_tasks()`` what was enqueued; nothing leaves.
``deliver()`` calls subscribers. ``memory_broker()`` is a broker inside the process (fakeredis), where all goes its
usual way, and ``run_tasks()`` a worker in the test's own thread. :mod:`messaging.testing.plugin` has fixtures.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from messaging.testing.capturing import Captured, captured
    from messaging.testing.delivering import deliver
    from messaging.testing.enqueueing import Enqueued, EnqueuedTasks, captured_tasks
    from messaging.testing.memory import memory_broker
    from messaging.testing.running import Ran, Waiting, run_tasks, waiting_tasks

__all__ = [
    "Captured",
    "Enqueued",
    "EnqueuedTasks",
    "Ran",
    "Waiting",
    "captured",
    "captured_tasks",
    "deliver",
    "memory_broker",
    "run_tasks",
    "waiting_tasks",
]

_MODULES = {
    "capturing": ("Captured", "captured"),
    "delivering": ("deliver",),
    "enqueueing": ("Enqueued", "EnqueuedTasks", "captured_tasks"),
    "memory": ("memory_broker",),
    "running": ("Ran", "Waiting", "run_tasks", "waiting_tasks"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Imported at first use: a plugin of pytest is loaded before Django is set up."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
