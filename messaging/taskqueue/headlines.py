"""A job's newest traceback -> what it says, on one line: for lists, where a traceback is too long."""

from __future__ import annotations

from messaging.taskqueue.job import Job, JobError

LONGEST = 160  # characters


def headline(job: Job) -> str:
    """Class and message of the newest error of a whole job; "" if it has none."""
    return headline_of(job.errors[-1]) if job.errors else ""


def headline_of(error: JobError) -> str:
    """Class and message of one error. A message of several lines begins where the class is named; where it is not (a
    group of exceptions, an edited traceback), the last line has to do."""
    name = error["class"].removeprefix("builtins.")
    lines = error["traceback"].strip().splitlines()
    named = (place for place in reversed(range(len(lines))) if lines[place].partition(":")[0] == name)
    said = " ".join(" ".join(lines[next(named, -1) :]).split())
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…"
