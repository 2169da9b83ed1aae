"""What a task, its backend's OPTIONS and the defaults say -> how its jobs are run. Pure.

An option that a task leaves ``None`` is as its backend's OPTIONS have it; what those leave out is as here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

from messaging.errors import InvalidOption, Misconfigured, shown
from messaging.taskqueue.backoff import DEFAULT, Backoff, check_backoff
from messaging.taskqueue.durability import IN_MEMORY, Level, check_durability, level_of

MAX_QUEUE = 200  # characters of a queue's name
_BREAKING = frozenset("{}\0")
_RATE = re.compile(r"([0-9]{1,9})/([0-9]{0,6})([smhd])", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST = 100 * 365 * 86400.0  # seconds; beyond it a number is taken for a mistake


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """A backend's OPTIONS, which are these names in upper case: ``"OPTIONS": {"MAX_ATTEMPTS": 5}``."""

    max_attempts: int = 1  # failures until it goes to the dead letters
    max_crashes: int = 3  # workers lost with it that are forgiven
    backoff: Backoff = DEFAULT  # between attempts
    timeout: float = 0.0  # seconds that an attempt may take; 0: as long as it likes
    keep_results: float = 4 * 3600.0  # seconds
    keep_failed: float = 7 * 86400.0  # seconds that cancelled and expired tasks are kept
    max_bytes: int = 256 * 1024  # of a task's arguments, and of its return value, as JSON
    # False: enqueued at once, whatever becomes of the transaction, which is Django's contract. True, or the alias of
    # a database: inside a transaction of MESSAGING["DATABASE"], or of that one, a task is a row of it.
    enqueue_on_commit: bool | str = False
    # What has to be confirmed before enqueue() returns, for queues by name, "*" for the others: durability.py.
    # A task of the outbox stays there until it is.
    durability: Mapping[str, str] = field(default_factory=dict)
    durability_seconds: float = 2.0  # for that; a server with `appendfsync everysec` needs up to one

    def level(self, queue: str) -> Level:
        """How safe the tasks of a queue have to be."""
        if not self.durability:
            return IN_MEMORY
        return level_of(self.durability, queue, seconds=self.durability_seconds)


NAMES = {each.name.upper(): each.name for each in fields(Defaults)}


@dataclass(frozen=True, slots=True)
class Effective:
    """What is valid for one job: the task's own word, or else the backend's."""

    max_attempts: int
    backoff: Backoff
    timeout: float  # seconds, 0: none
    retry_on: tuple[type[BaseException], ...]
    give_up_on: tuple[type[BaseException], ...]
    max_bytes: int


def defaults_of(options: Mapping[str, Any]) -> Defaults:
    """OPTIONS -> :class:`Defaults`; raises :class:`Misconfigured` naming the first thing that is wrong."""
    for wrong, _ in problems(options):
        raise Misconfigured(wrong)
    return Defaults(**{NAMES[name]: value for name, value in options.items()})


def problems(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """OPTIONS -> (what is wrong, a hint) of each that is."""
    for name, value in options.items():
        if name not in NAMES:
            near = get_close_matches(str(name).upper(), NAMES, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"The options are {', '.join(NAMES)}."
            yield f"OPTIONS has an unknown key: {name!r}", hint
            continue
        try:
            _CHECKS[name](value, f"OPTIONS[{name!r}]")
        except InvalidOption as error:
            yield str(error), "messaging/taskqueue/options.py lists them with their defaults."


def effective(task: Any, defaults: Defaults) -> Effective:
    """A task of any class -> what is valid for its jobs."""
    given = {name: getattr(task, name, None) for name in ("max_attempts", "backoff", "timeout")}
    timeout = given["timeout"]
    return Effective(
        max_attempts=defaults.max_attempts if given["max_attempts"] is None else given["max_attempts"],
        backoff=defaults.backoff if given["backoff"] is None else given["backoff"],
        timeout=defaults.timeout if timeout is None else seconds(timeout),
        retry_on=classes(getattr(task, "retry_on", None), (BaseException,)),
        give_up_on=classes(getattr(task, "give_up_on", None), ()),
        max_bytes=defaults.max_bytes,
    )


def seconds(span: float | timedelta) -> float:
    """A span of time, in seconds."""
    return span.total_seconds() if isinstance(span, timedelta) else float(span)


def classes(
    given: type[BaseException] | tuple[type[BaseException], ...] | None,
    default: tuple[type[BaseException], ...],
) -> tuple[type[BaseException], ...]:
    """One exception class, a tuple of them or none -> a tuple."""
    if given is None:
        return default
    return given if isinstance(given, tuple) else (given,)


# -- checks of single values: raise InvalidOption with the option's name and the value


def check_count(value: object, name: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 2**31:
        raise InvalidOption(f"{name} is a whole number from 1, not {shown(value)}")


def check_count_or_none(value: object, name: str) -> None:
    if value != 0 or isinstance(value, bool):
        check_count(value, name)


def check_span(value: object, name: str) -> None:
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if not isinstance(number, int | float) or isinstance(number, bool) or not 0 <= number <= LONGEST:
        raise InvalidOption(f"{name} is a number of seconds or a timedelta, from 0, not {shown(value)}")


def check_number(value: object, name: str) -> None:
    if isinstance(value, timedelta):
        raise InvalidOption(f"{name} is a number of seconds, not {shown(value)}")
    check_span(value, name)


def check_moment(value: object, name: str) -> None:
    if not isinstance(value, datetime):
        check_span(value, name)


def check_queue(value: object, name: str) -> None:
    """Redis keys carry it, between braces."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_QUEUE or not _BREAKING.isdisjoint(value):
        raise InvalidOption(
            f"{name} is a text of 1 to {MAX_QUEUE} characters without braces, not {shown(value)}"
        )


def check_errors(value: object, name: str) -> None:
    for each in value if isinstance(value, tuple) else (value,):
        if not isinstance(each, type) or not issubclass(each, BaseException):
            raise InvalidOption(f"{name} is an exception class or a tuple of them, not {shown(value)}")


def check_database(value: object, name: str) -> None:
    if not isinstance(value, bool | str) or value == "":
        raise InvalidOption(f"{name} is True, False or the alias of a database, not {shown(value)}")


def check_flag_or_function(value: object, name: str) -> None:
    if not isinstance(value, bool) and not callable(value):
        raise InvalidOption(
            f"{name} is True, False or a function of the task's arguments, not {shown(value)}"
        )


def check_rate(value: object, name: str) -> None:
    rate_of(value, name)


def rate_of(value: object, name: str = "rate") -> int:
    """``"10/m"``, ``"1/30s"`` -> microseconds between two; or :class:`InvalidOption`."""
    found = _RATE.fullmatch(value) if isinstance(value, str) else None
    if found is None or not int(found[1]) or found[2] == "0":
        raise InvalidOption(
            f"{name} is a text such as '10/s', '100/m', '1/30s', '5000/d', not {shown(value)}"
        )
    span_us = int(found[2] or 1) * _UNITS[found[3]] * 1_000_000
    return -(-span_us // int(found[1]))


def check_text_or_function(value: object, name: str) -> None:
    if not isinstance(value, str) and not callable(value):
        raise InvalidOption(f"{name} is a text or a function of the task's arguments, not {shown(value)}")


_CHECKS = {
    "MAX_ATTEMPTS": check_count,
    "MAX_CRASHES": check_count_or_none,
    "BACKOFF": check_backoff,
    "TIMEOUT": check_number,
    "KEEP_RESULTS": check_number,
    "KEEP_FAILED": check_number,
    "MAX_BYTES": check_count,
    "ENQUEUE_ON_COMMIT": check_database,
    "DURABILITY": check_durability,
    "DURABILITY_SECONDS": check_number,
}
