"""A condition -> its value once it holds, or a failure that says what was waited for."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 45.0  # seconds, for whatever a test waits for: the machine may be busy


def eventually(
    condition: Callable[[], T], timeout: float = PATIENCE, message: str = "", every: float = 0.01
) -> T:
    """Calls ``condition`` until it returns something true, which is returned.

    An AssertionError that it raises counts as "not yet", and is shown when ``timeout`` seconds have passed. Any other
    exception passes through at once.
    """
    deadline = time.monotonic() + timeout
    while True:
        seen: object
        try:
            seen = value = condition()
            if value:
                return value
        except AssertionError as error:
            seen = error
        if time.monotonic() > deadline:
            what = (
                message or getattr(condition, "__doc__", None) or getattr(condition, "__name__", "condition")
            )
            raise AssertionError(f"not within {timeout:g} s: {what}; last seen: {seen}")
        time.sleep(every)


def assert_within(seconds: float, measure: Callable[[], float], attempts: int = 3) -> None:
    """The best of a few measured times is within the bound: other work on the machine only ever adds to a time.

    What it adds can mostly be taken off beforehand, see :func:`tests.processes.queued`.
    """
    taken: list[float] = []
    while len(taken) < attempts and not (taken and min(taken) < seconds):
        taken.append(measure())
    assert min(taken) < seconds, f"{', '.join(f'{each:.2f}' for each in taken)} s"
