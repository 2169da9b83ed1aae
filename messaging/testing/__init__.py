"""What is published or enqueued in a user's tests -> lists to look at, and tasks that run when the test says so.

    from messaging.testing import captured, run_tasks

``captured()`` keeps what ``publish()`` was given and sends nothing; ``run_tasks()`` is a worker in the test's own
thread. The fixtures of :mod:`messaging.testing.plugin` are the same for pytest.
"""

from __future__ import annotations

from messaging.testing.running import Ran, run_tasks, waiting_tasks

__all__ = ["Ran", "run_tasks", "waiting_tasks"]
