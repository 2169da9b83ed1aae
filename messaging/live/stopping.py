"""TERM or INT -> the streams end at once, and then the server does what it always does.

Servers wait for open connections before they tell the application to shut down, and a stream never closes by itself:
so the signal has to be heard here first. The server's own handler is called in any case.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

Undo = Callable[[], None]


def on_signal(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> Undo:
    """Call ``stop`` on the loop when TERM or INT comes. Does nothing outside the main thread, nor for a signal that
    the server has no handler for: that ends the process as it always did. Returns what takes it back."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    undos = [_wrap(number, loop, stop) for number in (signal.SIGTERM, signal.SIGINT)]

    def undo() -> None:
        for each in undos:
            each()

    return undo


def _wrap(number: signal.Signals, loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> Undo:
    before: Any = signal.getsignal(number)
    if not callable(before) or before is signal.default_int_handler:
        return lambda: None

    def handler(received: int, frame: FrameType | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop)
        before(received, frame)

    def undo() -> None:
        if signal.getsignal(number) is handler:
            signal.signal(number, before)

    signal.signal(number, handler)
    return undo
