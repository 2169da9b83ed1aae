"""``MODULE:FUNCTION`` -> calls with event after event, for a look at the log by one's own code.

Nothing is kept of a call that fails: work that must be done belongs into a subscriber, which has retries.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync
from django.db import close_old_connections
from django.utils.module_loading import import_string

from messaging.decoder import NotAnEvent
from messaging.event import Event
from messaging.terminal.lines import Read

Function = Callable[[Event], Any]


def function_of(path: str) -> Function:
    """``module:function``, or with dots only; a coroutine function is run to its end. Raises ``ValueError``."""
    dotted = path.replace(":", ".")
    if "." not in dotted:
        raise ValueError(f"not of the form module:function: {path!r}")
    try:
        found = import_string(dotted)
    except ImportError as error:
        raise ValueError(f"cannot be imported: {error}: {path!r}") from None
    if not callable(found):
        raise ValueError(f"not a function but {type(found).__name__}: {path!r}")
    return async_to_sync(found) if inspect.iscoroutinefunction(found) else found


class Calls:
    """One for each event; ``tell`` gets what failed and why, and the next one has its turn."""

    def __init__(self, function: Function, tell: Callable[[str], None]) -> None:
        self.failed = 0
        self._function = function
        self._tell = tell

    def __call__(self, read: Read) -> None:
        entry, event = read
        if isinstance(event, NotAnEvent):
            self.failed += 1
            self._tell(f"{entry.location} is no event, the function was not called: {event}")
            return
        close_old_connections()
        try:
            self._function(event)
        except Exception:
            self.failed += 1
            self._tell(f"the call for {entry.location} failed:\n{traceback.format_exc().rstrip()}")
        finally:
            close_old_connections()
