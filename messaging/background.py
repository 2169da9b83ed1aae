"""The listener as a daemon thread of a web process, when ``LISTEN_IN_WEB`` asks for it.

It starts with the ASGI server (lifespan) or, elsewhere, with the first request: so never in ``migrate`` or a shell,
and in a forked worker only after the fork. Every web process may run one; the lease lets a single one work.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from typing import Any

from messaging.conf import conf

logger = logging.getLogger("messaging.listen")

STOP_SECONDS = 5.0
RETRY_SECONDS = 30.0  # between two starts that fail

_lock = threading.Lock()
_thread: BackgroundListener | None = None
_retry_at = 0.0


class BackgroundListener(threading.Thread):
    """One listener in one thread."""

    def __init__(self) -> None:
        from messaging.listener import Listener  # the models are ready only now

        super().__init__(name="messaging-listener", daemon=True)
        self.listener = Listener(polite=True)  # requests come first

    def run(self) -> None:
        try:
            self.listener.run()
        except Exception:
            logger.exception("the background listener ended")


def start_if_asked(**_signal: Any) -> bool:
    """Start the thread unless it runs or the setting is off; is it running? Cheap enough for every request."""
    global _thread, _retry_at
    if _thread is not None and _thread.is_alive():
        return True
    if not conf.LISTEN_IN_WEB:
        return False
    with _lock:
        if _thread is not None and _thread.is_alive():
            return True
        if time.monotonic() < _retry_at:
            return False
        try:
            _thread = BackgroundListener()
        except Exception:  # settings that cannot work must not cost a request
            logger.exception("the background listener cannot start")
            _retry_at = time.monotonic() + RETRY_SECONDS
            return False
        _thread.start()
    return True


def stop() -> None:
    """Drain and end the thread, within five seconds."""
    global _thread
    with _lock:
        thread, _thread = _thread, None
    if thread is not None and thread.is_alive():
        thread.listener.stop()
        thread.join(STOP_SECONDS)


def _after_fork() -> None:
    """Threads do not survive a fork: the child starts its own when it serves."""
    global _thread, _lock
    _thread, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(stop)
