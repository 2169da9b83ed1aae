"""INT, TERM and HUP -> a stop that is asked for: the first drains, the second ends the process at once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Self, TypeVar

from messaging.exits import ENDED_AT_ONCE, SAME_SIGNAL, STOPPING

T = TypeVar("T")


class Stop:
    """A context manager: inside it the first signal sets ``asked`` and calls ``on_first`` (which may do only what a
    signal handler may), the second one ends the process with exit code 130."""

    def __init__(self, on_first: Callable[[], None] | None = None) -> None:
        self.asked = False
        self._on_first = on_first
        self._waiting = False
        self._last_signal = -SAME_SIGNAL
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` ignores HUP: leave it so
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def interrupting(self, wait: Callable[[], T]) -> T | None:
        """``wait()``, broken off by the first signal and not begun after it: None then. Its result may be lost to a
        signal, so it should wait for something without taking it."""
        try:
            try:
                self._waiting = True
                return None if self.asked else wait()
            finally:
                self._waiting = False
        except KeyboardInterrupt:
            if self.asked:
                return None
            raise

    def pause(self, seconds: float) -> None:
        """Sleep, at most until the first signal."""
        self.interrupting(lambda: time.sleep(seconds))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._last_signal <= SAME_SIGNAL:
            return
        self._last_signal = now
        if self.asked:
            os._exit(ENDED_AT_ONCE)
        self.asked = True
        if self._on_first is not None:
            self._on_first()
        if self._waiting:
            raise KeyboardInterrupt
