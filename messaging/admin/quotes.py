"""Dead letters without their errors -> with them, for as few as a page shows; and what one of each group says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from messaging.admin import attempts
from messaging.taskqueue.dead import Letter
from messaging.taskqueue.job import Job
from messaging.taskqueue.operating import Operated
from messaging.taskqueue.quantities import DeadGroup

Kind = tuple[str, str, str, str]  # backend, queue, task, cause


def whole(letters: Sequence[Letter]) -> list[Letter]:
    """With arguments and errors, the newest first; without those that are gone."""
    found = []
    for queue in {id(letter.queue): letter.queue for letter in letters}.values():
        some = [letter for letter in letters if letter.queue is queue]
        jobs = queue.get_many([letter.job.id for letter in some])
        found += [letter._replace(job=job) for letter, job in zip(some, jobs, strict=True) if job is not None]
    return sorted(found, key=lambda letter: -letter.at_ms)


def quotes(letters: Iterable[Letter], wanted: set[Kind]) -> dict[Kind, str]:
    """What the first letter of each group that is wanted says: one job a group is read whole."""
    first: dict[Kind, Letter] = {}
    for letter in letters:
        first.setdefault(kind(letter.queue, letter.job), letter)
    some = whole([letter for of, letter in first.items() if of in wanted])
    return {kind(letter.queue, letter.job): attempts.told(letter.job)["error"] for letter in some}


def kind(queue: Operated, of: Job | DeadGroup) -> Kind:
    """The group that it belongs to."""
    return queue.alias, queue.name, of.task, of.cause
