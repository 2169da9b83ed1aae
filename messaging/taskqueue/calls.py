"""Arguments of a queue's scripts, and what their replies mean. Plain data -> plain data: sync and async share it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec.structs import astuple

from messaging.errors import InvalidMessage, shown
from messaging.taskqueue.job import (
    MAX_ID,
    MAX_WORKER,
    PRIORITIES,
    Claimed,
    Enqueued,
    Failed,
    Job,
    JobError,
    NewJob,
    Outcome,
    Retry,
    State,
    Succeeded,
)
from messaging.taskqueue.scripting import Argument

CHUNK_JOBS = 500  # of one script: about 10 ms of the server's time
CHUNK_BYTES = 4 * 1024 * 1024
TRACEBACK_CHARACTERS = 16_000
LONGEST_DELAY_MS = 2**52  # 140,000 years

_OPTIONS = NewJob.__struct_fields__[2:]  # all but id and body
_encode = msgspec.msgpack.Encoder().encode
_job = msgspec.msgpack.Decoder(Job).decode
_claimed = msgspec.msgpack.Decoder(Claimed).decode
_errors = msgspec.msgpack.Decoder(tuple[JobError, ...]).decode
_set = msgspec.structs.force_setattr


def check(job: NewJob) -> None:
    """Raise :class:`~messaging.errors.InvalidMessage` for what no queue could keep its promises to."""
    if not 0 < len(job.id) <= MAX_ID:
        raise InvalidMessage(f"a job's id has 1 to {MAX_ID} characters: {shown(job.id)}")
    if job.priority not in PRIORITIES:
        raise InvalidMessage(f"job {job.id}: priority {job.priority} is not from -100 to 100")
    if job.limit_key and job.limit < 1:
        raise InvalidMessage(f"job {job.id}: limit {job.limit} of {shown(job.limit_key)} would let none run")
    if job.rate_key and (job.rate_us < 1 or job.burst < 1):
        raise InvalidMessage(
            f"job {job.id}: rate {shown(job.rate_key)} without a time between two, or a burst"
        )
    if "\0" in job.order_key + job.limit_key + job.rate_key:
        raise InvalidMessage(f"job {job.id}: a NUL in order_key, limit_key or rate_key")


def check_worker(worker: str) -> str:
    """A worker's id, if it is one."""
    if not 0 < len(worker) <= MAX_WORKER or "\0" in worker:
        raise InvalidMessage(f"a worker's id has 1 to {MAX_WORKER} characters and no NUL: {shown(worker)}")
    return worker


def new_jobs(jobs: Sequence[NewJob]) -> Iterator[list[Argument]]:
    """New jobs -> arguments of one or more calls of ``enqueue``."""
    arguments: list[Argument] = []
    size = 0
    known: tuple[Any, ...] = ()  # what the job before was, but for its id and body
    packed = sent = b""
    for job in jobs:
        fields = astuple(job)[2:]
        if fields != known or not 0 < len(job.id) <= MAX_ID:
            check(job)
            options = {name: value for name, value in zip(_OPTIONS, fields, strict=True) if value}
            options["keep_ms"], options["keep_failed_ms"] = job.keep_ms, job.keep_failed_ms
            known, packed = fields, _encode(options)
        if arguments and (len(arguments) >= 3 * CHUNK_JOBS or size + len(job.body) > CHUNK_BYTES):
            yield arguments
            arguments, size, sent = [], 0, b""
        arguments += (job.id, b"" if packed is sent else packed, job.body)
        sent = packed
        size += len(job.body)
    if arguments:
        yield arguments


def enqueued(arguments: Sequence[Any], reply: Sequence[Any]) -> list[Enqueued]:
    """What ``enqueue`` says to these arguments."""
    at_ms, *others = reply
    results = [Enqueued(name, True, at_ms) for name in arguments[::3]]
    for place, name, since in zip(others[::3], others[1::3], others[2::3], strict=True):
        results[place] = Enqueued(name.decode(), False, since)
    return results


def claimed(reply: Sequence[Any]) -> tuple[list[Claimed], int | None]:
    """What ``claim`` says: the jobs, and in how many milliseconds the next delayed one is due."""
    jobs = []
    rest = iter(reply[1:])
    for name, packed, body, errors in zip(rest, rest, rest, rest, strict=True):
        job = _claimed(packed)
        _set(job, "id", name.decode())
        _set(job, "body", body)
        if errors:
            _set(job, "errors", _errors(errors))
        jobs.append(job)
    return jobs, None if reply[0] < 0 else reply[0]


def found(ids: Sequence[str], reply: Sequence[Any]) -> list[Job | None]:
    """What ``get`` says."""
    jobs: list[Job | None] = []
    for name, parts in zip(ids, reply, strict=True):
        if not parts:
            jobs.append(None)
            continue
        packed, body, result, errors = parts
        job = _job(packed)
        _set(job, "id", name)
        _set(job, "body", body)
        _set(job, "result", b"null" if result is None and job.state is State.SUCCEEDED else result)
        if errors:
            _set(job, "errors", _errors(errors))
        jobs.append(job)
    return jobs


def brief(id: bytes, packed: bytes | None) -> Job | None:
    """A job as its own hash has it, without what stands in others."""
    if packed is None:
        return None
    job = _job(packed)
    _set(job, "id", id.decode())
    return job


def outcomes(given: Sequence[Outcome]) -> Iterator[bytes]:
    """Outcomes -> what one or more calls of ``settle`` take of them."""
    for start in range(0, len(given), CHUNK_JOBS):
        yield _encode([_encoded(each) for each in given[start : start + CHUNK_JOBS]])


def _encoded(outcome: Outcome) -> msgspec.Raw:
    """One that cannot be sent is a failure of its own job: it must not keep the others from ending."""
    try:
        return msgspec.Raw(_encode(_outcome(outcome)))
    except (ArithmeticError, TypeError, ValueError) as error:
        reason = f"its outcome cannot be sent: {type(error).__name__}: {error}"
        return msgspec.Raw(_encode(_outcome(Failed(outcome.id, outcome.token, None, reason))))


def _outcome(outcome: Outcome) -> tuple[str | int, ...]:
    of_what = outcome.id, outcome.token
    if isinstance(outcome, Succeeded):
        return *of_what, "succeeded", outcome.result.decode(errors="replace")  # cmsgpack knows no bytes
    if isinstance(outcome, Retry):
        return *of_what, "retry", _delay(outcome.delay_ms), *_why(outcome.error)
    if isinstance(outcome, Failed):
        return *of_what, "failed", _clean(outcome.reason)[-500:], *_why(outcome.error)
    return *of_what, "released", _delay(outcome.delay_ms)


def _delay(milliseconds: float) -> int:
    """Added to a time it stays a number that Lua and the scores of a ZSET hold exactly."""
    return min(max(int(milliseconds), 0), LONGEST_DELAY_MS)


def _why(error: JobError | None) -> tuple[str, str]:
    if error is None:
        return "", ""
    return _clean(error["class"])[:500], _clean(error["traceback"])[-TRACEBACK_CHARACTERS:]


def _clean(text: str) -> str:
    """Text that is UTF-8: half a surrogate pair in an exception's message must not keep its job from ending."""
    return text.encode("utf-8", "backslashreplace").decode()
