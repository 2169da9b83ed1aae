"""A filter -> the dead letters of some queues that it lets through, newest first; all of them retried or discarded.

Only time is indexed; for the rest their records are looked at, as many as the caller allows, and their arguments and
tracebacks only where a text is looked for.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import msgspec

from messaging.taskqueue.job import Job, State
from messaging.taskqueue.operating import Operated
from messaging.taskqueue.quantities import DeadGroup

LOOK = 500  # records of one read
LOOK_WHOLE = 50  # of one read with arguments and tracebacks: a few MB at the worst
CHUNK = 200  # of one script that changes them

Action = Literal["retry", "discard"]


class DeadFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What is empty lets everything through."""

    task: str = ""  # its import path, or the last names of it; with "=" in front: exactly
    error: str = ""  # the exception's class, or a reason such as "worker lost": the same
    text: str = ""  # in reason, tracebacks, arguments or id, in any case
    sees_arguments: bool = True  # not where they are redacted: what cannot be read must not be found either
    since_ms: int = 0  # died then or later
    until_ms: int = 0  # died then or before; 0: up to now

    @property
    def is_grouped(self) -> bool:
        """Whether the counts by task and cause can answer it."""
        return not (self.text or self.since_ms or self.until_ms)

    def lets(self, at_ms: int, job: Job) -> bool:
        """All of it, of a whole job."""
        in_time = self.since_ms <= at_ms <= (self.until_ms or at_ms)
        return in_time and self.lets_group(job.task, job.cause) and (not self.text or self.lets_text(job))

    def lets_group(self, task: str, cause: str) -> bool:
        """The part that is about task and error."""
        return _ends(task, self.task) and _ends(cause, self.error)

    def lets_text(self, job: Job) -> bool:
        """The part that needs the whole job."""
        text = self.text.lower()
        tracebacks = (each["traceback"] for each in job.errors)
        arguments = job.body.decode(errors="replace") if self.sees_arguments else ""
        return any(text in each.lower() for each in (job.reason, job.id, *tracebacks, arguments))


def _ends(path: str, wanted: str) -> bool:
    if wanted.startswith("="):
        return path == wanted[1:]
    return not wanted or path == wanted or path.endswith(f".{wanted}")


class Letter(NamedTuple):
    """One of them. ``job`` is whole where a text or ``keep`` was asked about, else without arguments and errors."""

    at_ms: int
    queue: Operated
    job: Job

    @property
    def is_dead(self) -> bool:
        """Still: one that could not be retried then, since another task holds its unique lock."""
        job = self.queue.get(self.job.id)
        return job is not None and job.state is State.DEAD


class Search:
    """Iterate over it once; after that ``looked`` and ``back_to_ms`` say how far it has looked."""

    def __init__(
        self,
        queues: Sequence[Operated],
        wanted: DeadFilter,
        *,
        most: int | None = None,
        keep: Callable[[Job], bool] | None = None,
    ) -> None:
        """``most``: records to look at, in equal shares of all queues; ``keep`` gets whole jobs."""
        self._queues = queues
        self._wanted = wanted
        self._keep = keep
        self._share = None if most is None else max(1, most // max(1, len(queues)))
        self.looked = 0
        self.back_to_ms: int | None = None  # it stopped there for having looked at ``most``; None: it saw all

    def __iter__(self) -> Iterator[Letter]:
        return heapq.merge(*map(self._of, self._queues), key=lambda letter: -letter.at_ms)

    def _of(self, queue: Operated) -> Iterator[Letter]:
        whole = bool(self._wanted.text or self._keep)
        at: int = self._wanted.until_ms or 2**53
        same = 0  # seen of this millisecond
        left = self._share
        while True:
            count = LOOK_WHOLE if whole else LOOK
            if left is not None:
                if left <= 0:
                    self.back_to_ms = max(self.back_to_ms or 0, at)
                    return
                left -= (count := min(count, left))
            found = queue.dead_before(at, same, count)
            self.looked += len(found)
            yield from self._let_through(queue, found, whole)
            if len(found) < count or found[-1][0] < self._wanted.since_ms:
                return
            last = found[-1][0]
            same = sum(1 for ms, _ in found if ms == last) + (same if last == at else 0)
            at = last

    def _let_through(
        self, queue: Operated, found: Iterable[tuple[int, Job | None]], whole: bool
    ) -> Iterator[Letter]:
        letters = [
            Letter(at, queue, job)
            for at, job in found
            if job is not None
            and job.state == State.DEAD
            and at >= self._wanted.since_ms
            and self._wanted.lets_group(job.task, job.cause)
        ]
        if not whole:
            yield from letters
            return
        jobs = queue.get_many([letter.job.id for letter in letters])
        for letter, job in zip(letters, jobs, strict=True):
            if job is None or (self._wanted.text and not self._wanted.lets_text(job)):
                continue
            if self._keep is None or self._keep(job):
                yield letter._replace(job=job)


def groups(queues: Iterable[Operated], wanted: DeadFilter) -> list[tuple[Operated, DeadGroup]]:
    """By queue, task and cause, the largest first: of a filter by task and error only. It costs as much as there are
    groups."""
    found = [
        (queue, group)
        for queue in queues
        for group in queue.dead_groups()
        if wanted.lets_group(group.task, group.cause)
    ]
    return sorted(found, key=lambda each: -each[1].count)


def grouped(letters: Iterable[Letter]) -> list[tuple[Operated, DeadGroup]]:
    """The same of what a search has found."""
    queues: dict[tuple[str, str], Operated] = {}
    counts: Counter[tuple[tuple[str, str], str, str]] = Counter()
    for letter in letters:
        place = letter.queue.alias, letter.queue.name
        queues[place] = letter.queue
        counts[place, letter.job.task, letter.job.cause] += 1
    return [
        (queues[place], DeadGroup(task, cause, count)) for (place, task, cause), count in counts.most_common()
    ]


def act(action: Action, letters: Iterable[Letter], by: str) -> Iterator[tuple[Letter, bool]]:
    """Back to their queues or away, some at a time; with each whether that was done: it may be no dead letter any
    more, or another task holds its unique lock."""
    by_queue: defaultdict[tuple[str, str], list[Letter]] = defaultdict(list)
    for letter in letters:
        by_queue[letter.queue.alias, letter.queue.name].append(letter)
    for some in by_queue.values():
        some.reverse()  # the one that died first runs first
        for start in range(0, len(some), CHUNK):
            chunk = some[start : start + CHUNK]
            ids = [letter.job.id for letter in chunk]
            queue = chunk[0].queue
            done = queue.retry_dead(ids, by) if action == "retry" else queue.discard_dead(ids, by)
            yield from zip(chunk, done, strict=True)
