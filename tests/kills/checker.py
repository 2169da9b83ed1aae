"""Executions, deaths and the jobs at the end -> which promises are broken. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from statistics import median
from typing import NamedTuple

from messaging.taskqueue.worker import suspects
from tests.kills.ledger import FORGIVEN, Death, Execution

UNACKNOWLEDGED = 1.0  # seconds that may lie between the end of a task and its acknowledgement
# Until a task of the dead runs elsewhere, typically and at most. Without a bound behind a task that kills each worker
# within a moment: it may leave none to take its neighbours, and what is measured is the start of a new process.
SECONDS = {
    "child": (1.0, 20.0),
    "machine": (20.0, 20.0),
    "pause": (20.0, 20.0),
    "link": (20.0, 20.0),
    "suicide": (inf, inf),
}


# So many lost workers are forgiven a task, of which it may lose some to a neighbour before it runs alone. One that our
# own kills strike more often besides is rightly a dead letter: nobody can tell it from a guilty one.
STRUCK = FORGIVEN - suspects.MANY


class Claim(NamedTuple):
    """A worker process had the task."""

    pid: int
    at: float
    outcome: str


@dataclass(slots=True)
class Findings:
    """Figures for the table, and a sentence for each broken promise."""

    tasks: int = 0
    executions: int = 0
    lost: int = 0  # not ended, or ended otherwise than it should
    repeated: int = 0  # executions beyond the first, each behind a death
    late: list[str] = field(default_factory=list)  # ran elsewhere later than is typical
    worn_out: list[str] = field(default_factory=list)  # innocent, and dead by our kills alone
    unexcused: int = 0  # executions beyond the first without one
    overlapping: int = 0  # two at the same time
    recovery: dict[str, list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )  # seconds, by kind of kill
    # Of it: of tasks that may begin at once, and of suspects, which wait until no other suspect runs.
    at_once: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    alone: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    broken: list[str] = field(default_factory=list)


def check(
    executions: Sequence[Execution],
    deaths: Sequence[Death],
    states: Mapping[int, str],
    *,
    poison: Sequence[int] = (),
    failing: Mapping[int, int] | None = None,
    claims: Mapping[int, Sequence[Claim]] | None = None,
    in_time: bool = True,
) -> Findings:
    """``states``: task -> state at the end; ``poison`` are tasks that kill each worker and have to end dead;
    ``failing``: task -> how often it fails by itself before it succeeds; ``claims``: task -> who had it, by the
    queue's own record, since a process may be killed before its task could write that it had begun; ``in_time``:
    recovery has its bounds."""
    found = Findings(tasks=len(states), executions=len(executions))
    ends: defaultdict[int, list[Death]] = defaultdict(list)  # a process may be frozen before it is killed
    for death in sorted(deaths, key=lambda each: each.at):
        ends[death.pid].append(death)
    failures = failing or {}
    by_task: defaultdict[int, list[Execution]] = defaultdict(list)
    for execution in executions:
        by_task[execution.task].append(execution)
    for task, state in states.items():
        should = "dead" if task in poison else "succeeded"
        held = (claims or {}).get(task, ())
        wrong = f"task {task} is {state} after {len(by_task[task])} executions, not {should}"
        history = ", ".join(_told(claim, ends) for claim in held)
        if state == "dead" and should != "dead" and _struck(held, ends) > STRUCK:
            found.worn_out.append(f"{wrong}: {history}")
        elif state != should or not by_task[task]:
            found.lost += 1
            found.broken.append(f"{wrong}: {history}")
        elif state == "succeeded" and all(each.ended is None for each in by_task[task]):
            found.lost += 1
            found.broken.append(
                f"task {task} has succeeded, and no execution of it has come to its end: {history}"
            )
        ran = sorted(by_task[task], key=lambda each: each.began)
        _check_executions(ran, ends, failures.get(task, 0), found)
        _note_recovery(task, held, ends, found, in_time=in_time)
    if in_time:
        _check_recovery(found)
    return found


def _death(claim: Claim, ends: Mapping[int, Sequence[Death]]) -> Death | None:
    """What took its worker, if the claim was lost."""
    if claim.outcome != "lost":
        return None
    return next((each for each in ends.get(claim.pid, ()) if each.until >= claim.at), None)


def _struck(claims: Sequence[Claim], ends: Mapping[int, Sequence[Death]]) -> int:
    """How many workers it lost to us, and not to a task that killed them."""
    return sum((death := _death(claim, ends)) is not None and death.how != "suicide" for claim in claims)


def _told(claim: Claim, ends: Mapping[int, Sequence[Death]]) -> str:
    death = _death(claim, ends)
    why = f" by {death.how} at {death.at % 1000:.1f}" if death else ""
    return f"{claim.pid} at {claim.at % 1000:.1f} {claim.outcome}{why}"


def _check_executions(
    executions: Sequence[Execution], ends: Mapping[int, Sequence[Death]], failures: int, found: Findings
) -> None:
    for before, after in pairwise(executions):
        death = next((each for each in ends.get(before.pid, ()) if excuses(each, before)), None)
        death = death or next((each for each in ends.get(after.pid, ()) if woken(each, after)), None)
        if failures > 0 and before.ended is not None:
            failures -= 1
        elif death is not None:
            found.repeated += 1  # killed inside the task, or between its end and the acknowledgement
            if after.began < death.at and death.pid == before.pid:
                found.overlapping += 1
                found.broken.append(
                    f"task {after.task} began again before its process {before.pid} was killed"
                )
        else:
            found.unexcused += 1
            found.broken.append(
                f"task {after.task} ran again in process {after.pid}, {after.began - before.began:.1f} s later, "
                f"although process {before.pid} was not killed in it"
            )


def excuses(death: Death, execution: Execution) -> bool:
    """Whether it struck inside the task, or between its end and the acknowledgement."""
    return execution.began <= death.until and (
        execution.ended is None or execution.ended >= death.at - UNACKNOWLEDGED
    )


def woken(death: Death, execution: Execution) -> bool:
    """Whether its process was frozen between the claim and its first line, and went on there."""
    return death.how == "pause" and death.at <= execution.began <= death.until


def _note_recovery(
    task: int,
    claims: Sequence[Claim],
    ends: Mapping[int, Sequence[Death]],
    found: Findings,
    *,
    in_time: bool,
) -> None:
    """Claims that were handed back at once do not count as running elsewhere."""
    kept = [claim for claim in claims if claim.outcome != "released"]
    lost = 0
    for before, after in pairwise(kept):
        lost += before.outcome == "lost"
        death = _death(before, ends)
        if death is None:
            continue
        # A claim may arrive late, when the link lets it through: nobody waits for its answer any more.
        seconds = max(0.0, after.at - max(death.at, before.at))
        found.recovery[death.how].append(seconds)
        (found.at_once if lost < suspects.MANY else found.alone)[death.how].append(seconds)
        typical, most = SECONDS[death.how]
        if seconds > typical:
            history = ", ".join(_told(claim, ends) for claim in claims)
            late = f"task {task} of a killed {death.how} ran elsewhere after {seconds:.1f} s: {history}"
            (found.broken if in_time and seconds > most else found.late).append(late)


def _check_recovery(found: Findings) -> None:
    for how, seconds in found.recovery.items():
        if (typical := median(seconds)) > SECONDS[how][0]:
            found.broken.append(f"tasks of a killed {how} typically ran elsewhere after {typical:.2f} s")
