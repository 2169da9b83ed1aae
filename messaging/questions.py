"""A question that may hang -> its answer if it comes in time. One that hangs is not asked a second time meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from django.db import connections


class Questions:
    """Asked by daemon threads; ``purpose`` is the first part of their names."""

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._pending: dict[str, Future[Any]] = {}
        self._lock = threading.Lock()

    def ask(self, name: str, look: Callable[[], Any]) -> Future[Any]:
        """What ``look`` will return or raise; of a question that is still open, the one answer for all who ask."""
        with self._lock:
            future = self._pending.get(name)
            if future is None or future.done():
                future = self._pending[name] = Future()
                threading.Thread(
                    target=_run, args=(look, future), name=f"{self._purpose}-{name}", daemon=True
                ).start()
            return future


def _run(look: Callable[[], Any], future: Future[Any]) -> None:
    try:
        future.set_result(look())
    except BaseException as error:  # whoever waits must have an answer
        future.set_exception(error)
    finally:
        connections.close_all()  # of this thread
