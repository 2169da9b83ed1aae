"""``MESSAGING["SCHEDULE"]`` -> recurring tasks, and when each of them is due. Pure: time comes in as an argument.

    "SCHEDULE": {
        "nightly report": {"task": "shop.tasks.report", "cron": "0 3 * * *", "time_zone": "Europe/Berlin"},
        "heartbeat": {"task": "shop.tasks.beat", "every": 30, "args": ["web"], "catch_up": "none"},
    }

A tick is a moment in milliseconds since 1970 that follows from the schedule alone, whoever computes it: an interval
counts from 1970. Cron is Debian's, so that a time of day that a change to summer time skips comes right after it, and
one that comes twice is met once; a sixth field, the first one, are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import takewhile
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from messaging.errors import Misconfigured, shown

CatchUp = Literal["none", "latest", "all"]

MOST = 1000  # ticks that "all" catches up with; the oldest beyond them are given up
GRACE_MS = 60_000  # a tick that is older was missed
_KEYS = {"task", "cron", "every", "args", "kwargs", "queue", "time_zone", "catch_up"}
_SPANS = [
    timedelta(hours=1),
    timedelta(days=1),
    timedelta(days=32),
    timedelta(days=366),
    timedelta(days=1500),
]


@dataclass(frozen=True, slots=True)
class Recurring:
    """One entry."""

    name: str
    task: str  # import path
    every_ms: int = 0  # 0: by cron
    cron: str = ""
    zone: tzinfo = UTC
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    queue: str = ""  # "": the task's own
    catch_up: CatchUp = "latest"

    def due(self, after_ms: int, until_ms: int) -> list[int]:
        """Its ticks behind one moment, up to another: all of them, but of more than ``MOST`` only the latest."""
        if self.every_ms:
            last = until_ms // self.every_ms
            first = max(after_ms // self.every_ms + 1, last - MOST + 1)
            return [number * self.every_ms for number in range(first, last + 1)]
        since = _moment(after_ms)
        found = self._cron_ticks(since, until_ms, MOST + 1)
        if len(found) <= MOST:
            return found
        for span in _SPANS:  # a long pause: the latest, without going through all of them
            near = max(since, _moment(until_ms) - span)
            if found := self._cron_ticks(near, until_ms, int(span.total_seconds()) + 1):
                break
        return found[-MOST:]

    def _cron_ticks(self, since: datetime, until_ms: int, most: int) -> list[int]:
        after_ms = _ms(since)
        ticks = (_ms(tick) for tick in CronSim(self.cron, since.astimezone(self.zone)))
        found = []
        for tick in takewhile(lambda tick: tick <= until_ms, ticks):
            if tick > after_ms:
                found.append(tick)
                if len(found) == most:
                    break
        return found

    def next(self, after_ms: int) -> int:
        """Its first tick behind a moment."""
        if self.every_ms:
            return (after_ms // self.every_ms + 1) * self.every_ms
        ticks = map(_ms, CronSim(self.cron, _moment(after_ms).astimezone(self.zone)))
        return next(tick for tick in ticks if tick > after_ms)

    def is_tick(self, ms: int) -> bool:
        """Is this moment one of its ticks?"""
        return bool(self.due(ms - 1, ms))

    @property
    def rule(self) -> str:
        """In words: ``every 30 s``, ``0 3 * * * (Europe/Berlin)``."""
        return f"every {self.every_ms / 1000:g} s" if self.every_ms else f"{self.cron} ({self.zone})"

    def chosen(self, due: Sequence[int], now_ms: int) -> Sequence[int]:
        """Of the ticks that are due those that become tasks, as the policy has it."""
        if self.catch_up == "all":
            return due
        if self.catch_up == "none" and now_ms - due[-1] > GRACE_MS:
            return ()
        return due[-1:]


def parsed(name: str, entry: Mapping[str, Any], *, zone: str) -> Recurring:
    """One entry of the setting -> what it means; ``zone`` is the default. Raises :class:`Misconfigured`."""

    def wrong(what: str) -> Misconfigured:
        return Misconfigured(f"MESSAGING['SCHEDULE'][{name!r}]: {what}")

    if not isinstance(entry, Mapping):
        raise wrong(f"it is a dict, not {shown(entry)}")
    if unknown := sorted(map(str, set(entry) - _KEYS)):
        raise wrong(f"unknown key {', '.join(map(repr, unknown))}; the keys are {', '.join(sorted(_KEYS))}")
    task, cron, every = entry.get("task"), entry.get("cron"), entry.get("every")
    if not isinstance(task, str) or "." not in task:
        raise wrong(f"task is the import path of a task, not {shown(task)}")
    if (cron is None) == (every is None):
        raise wrong('it has either "cron" or "every"')
    catch_up = entry.get("catch_up", "latest")
    if catch_up not in get_args(CatchUp):
        raise wrong(f"catch_up is one of {', '.join(map(repr, get_args(CatchUp)))}, not {shown(catch_up)}")
    named = entry.get("time_zone", zone)
    try:
        found = ZoneInfo(named)
    except (TypeError, ValueError, OSError, KeyError):
        raise wrong(f"there is no time zone {shown(named)}") from None
    if cron is not None:
        try:
            next(CronSim(cron, datetime.now(found)))
        except (CronSimError, StopIteration, AttributeError, AssertionError) as error:
            raise wrong(f"cron is a line such as '0 3 * * *', not {shown(cron)}: {error}") from None
    args, kwargs, queue = entry.get("args", ()), entry.get("kwargs", {}), entry.get("queue", "")
    if not isinstance(args, (list, tuple)) or not isinstance(kwargs, Mapping) or not isinstance(queue, str):
        raise wrong("args is a list, kwargs a dict, queue a name")
    return Recurring(
        name=name,
        task=task,
        every_ms=0 if every is None else _every_ms(every, wrong),
        cron=cron or "",
        zone=found,
        args=args,
        kwargs=kwargs,
        queue=queue,
        catch_up=catch_up,
    )


def _every_ms(every: object, wrong: Any) -> int:
    number = every.total_seconds() if isinstance(every, timedelta) else every
    if not isinstance(number, (int, float)) or isinstance(number, bool) or not 0.1 <= number < 1e9:
        raise wrong(f"every is a number of seconds from 0.1, or a timedelta, not {shown(every)}")
    return round(number * 1000)


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms // 1000, UTC)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000
