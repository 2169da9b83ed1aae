"""A call of a task -> a new job, all checked, and the result that its caller gets. No I/O."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from django.utils import timezone

from messaging.errors import InvalidOption, shown
from messaging.taskqueue.fitting import check_call
from messaging.taskqueue.job import NewJob, new_id
from messaging.taskqueue.lookup import named_by
from messaging.taskqueue.options import Defaults, rate_of, seconds
from messaging.taskqueue.overrides import overrides_of
from messaging.taskqueue.payloads import Body, encode_body, plain_call
from messaging.taskqueue.results import microseconds, moment
from messaging.taskqueue.seam import AnyTask
from messaging.taskqueue.tasks import InvalidTaskOption, given_options

KEEP_MS = (
    30 * 60 * 1000
)  # at least, of a job from the outbox, which may offer it again: see outbox.SECOND_LOOK
_ASKING = {
    "unique",
    "limit",
    "limit_key",
    "rate",
    "rate_key",
    "burst",
    "order_key",
}  # options that may depend on the arguments
MAX_KEY = 200  # characters of a limit, rate or order key; a longer one travels as its digest


class Prepared(NamedTuple):
    """A call that can be enqueued."""

    task: AnyTask
    args: list[Any]
    kwargs: dict[str, Any]
    job: NewJob
    at: datetime | None  # when it was written to the outbox, by this process's clock


class Form:
    """A validated task -> what all its jobs have in common, so that many calls of it ask for that once."""

    __slots__ = ("_asks", "_at", "_bare", "_body", "_fixed", "_limit", "_options", "_path", "_queue", "task")

    def __init__(self, task: AnyTask, *, defaults: Defaults, now: datetime, in_outbox: bool = False) -> None:
        self.task = task
        self._path = path = task.module_path
        self._queue = task.queue_name
        self._limit = defaults.max_bytes
        self._options = options = given_options(task)
        self._asks = bool(_ASKING & options.keys())
        written_us = microseconds(now) if in_outbox else 0
        self._at = moment(us=written_us)
        keep = [
            int(seconds(options.get(name, default)) * 1000)
            for name, default in (
                ("keep_results", defaults.keep_results),
                ("keep_failed", defaults.keep_failed),
            )
        ]
        self._fixed: dict[str, Any] = {
            "task": path,
            "priority": int(task.priority),
            "due_ms": 0 if task.run_after is None else _due_ms(task.run_after),
            "max_attempts": options.get("max_attempts", defaults.max_attempts),
            "max_crashes": defaults.max_crashes,
            "timeout_ms": int(seconds(options.get("timeout", defaults.timeout)) * 1000),
            "keep_ms": max(keep[0], KEEP_MS) if in_outbox else keep[0],
            "keep_failed_ms": max(keep[1], KEEP_MS) if in_outbox else keep[1],
        }
        if "expires" in options:
            self._fixed["expires_ms"] = _expires_ms(options["expires"], task, now)
        self._body: dict[str, Any] = {"task": path}
        if task.run_after is not None:
            self._body["run_after"] = task.run_after.isoformat()
        if options and (overrides := overrides_of(task, _original(path))):
            self._body["options"] = overrides
        if in_outbox:
            self._body["written_us"] = written_us
        self._bare = b""  # the body of a call without arguments, once there was one

    def filled(self, args: Any, kwargs: Mapping[str, Any]) -> Prepared:
        """A call's arguments -> its job; raises an :class:`~messaging.errors.InvalidCall` that names what cannot be."""
        args, kwargs = plain_call(args, kwargs)
        check_call(self.task, args, kwargs)
        asked: dict[str, Any] = {}
        if self._asks:
            try:
                asked = _asked_fields(self._path, args, kwargs, self._options)
            except InvalidOption as error:
                raise InvalidTaskOption(f"task {self._path}: {error}") from error.__cause__
        if args or kwargs:
            body = encode_body(Body(args=args, kwargs=kwargs, **self._body), limit=self._limit)
        else:
            body = self._bare = self._bare or encode_body(Body(**self._body), limit=self._limit)
        job = NewJob(id=new_id(self._queue), body=body, **self._fixed, **asked)
        return Prepared(self.task, args, kwargs, job, self._at)


def prepare(
    task: AnyTask,
    args: Any,
    kwargs: Mapping[str, Any],
    *,
    defaults: Defaults,
    now: datetime,
    in_outbox: bool = False,
) -> Prepared:
    """One call of a validated task -> a job. ``now`` is aware. Raises what :meth:`Form.filled` raises."""
    return Form(task, defaults=defaults, now=now, in_outbox=in_outbox).filled(args, kwargs)


def _original(path: str) -> object:
    try:
        return named_by(path)
    except ImportError:
        return None


def _asked_fields(
    path: str, args: list[Any], kwargs: dict[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Options that the queue acts on and that may depend on the arguments."""
    fields: dict[str, Any] = {}
    unique = options.get("unique")
    if unique:
        key = (
            json.dumps([args, kwargs], sort_keys=True)
            if unique is True
            else str(_asked("unique", unique, args, kwargs))
        )
        fields["unique"] = _digest(f"{path}\0{key}")
        fields["unique_ms"] = int(seconds(options.get("unique_for", 0)) * 1000)
    if "limit" in options:
        fields["limit"] = options["limit"]
        fields["limit_key"] = _key("limit_key", options.get("limit_key", path), path, args, kwargs)
    elif "limit_key" in options:
        raise InvalidOption(
            f"limit_key wants a limit, how many may run at once: {shown(options['limit_key'])}"
        )
    if "rate" in options:
        fields["rate_us"] = rate_of(options["rate"])
        fields["burst"] = options.get("burst", 1)
        fields["rate_key"] = _key("rate_key", options.get("rate_key", path), path, args, kwargs)
    elif given := {"rate_key", "burst"} & options.keys():
        raise InvalidOption(f"{min(given)} wants a rate, how many may begin in what time, such as '10/m'")
    if "order_key" in options:
        fields["order_key"] = _key("order_key", options["order_key"], path, args, kwargs)
    return fields


def _key(
    name: str, option: str | Callable[..., object], path: str, args: list[Any], kwargs: dict[str, Any]
) -> str:
    """A text is shared by all tasks that name it; what a function returns is the task's own."""
    key = option if isinstance(option, str) else f"{path}:{_asked(name, option, args, kwargs)}"
    key = key.replace("\0", "\\0")  # what a queue keeps has NULs of its own
    return key if len(key) <= MAX_KEY else f"{key[:64]}:{_digest(key)}"


def _asked(name: str, function: Callable[..., object], args: list[Any], kwargs: dict[str, Any]) -> object:
    try:
        return function(*args, **kwargs)
    except Exception as error:
        raise InvalidOption(f"{name}: {shown(function)} failed for these arguments: {error!r}") from error


def _digest(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


def _aware(at: datetime) -> datetime:
    return at if timezone.is_aware(at) else timezone.make_aware(at, timezone.get_default_timezone())


def _due_ms(at: datetime) -> int:
    """Never before it: the next whole millisecond."""
    return max(0, -(-microseconds(_aware(at)) // 1000))


def _expires_ms(expires: float | timedelta | datetime, task: AnyTask, now: datetime) -> int:
    """A span counts from when the task may begin."""
    if isinstance(expires, datetime):
        at = _aware(expires)
    else:
        begins = now if task.run_after is None else max(now, _aware(task.run_after))
        at = begins + timedelta(seconds=seconds(expires))
    return max(1, microseconds(at.astimezone(UTC)) // 1000)
