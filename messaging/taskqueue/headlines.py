"""A job's newest traceback -> what it says, on one line: for lists, where a traceback is too long."""

from __future__ import annotations

from messaging.taskqueue.job import Job

LONGEST = 160  # characters


def headline(job: Job) -> str:
    """Class and message of the newest error of a whole job; "" if it has none. A message of several lines begins where
    the class is named; where it is not (a group of exceptions, an edited traceback), the last line has to do."""
    if not job.errors:
        return ""
    newest = job.errors[-1]
    name = newest["class"].removeprefix("builtins.")
    lines = newest["traceback"].strip().splitlines()
    named = (place for place in reversed(range(len(lines))) if lines[place].partition(":")[0] == name)
    said = " ".join(" ".join(lines[next(named, -1) :]).split())
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…"
