"""Where a reader stood and what the log holds now -> whether entries in between may have been lost. Pure.

A reader leaves the entry at its position in the log (the trim script sees to that): as long as it finds it there,
nothing behind it was cut off. What a server forgot in a crash is told by positions that are gone, and by its run id.
"""

from __future__ import annotations

from typing import NamedTuple

from messaging.log import START, Bounds, Position

REASONS = {
    "reborn": "the log was born anew: Redis lost its memory, or somebody deleted it",
    "rolled back": "the log has lost its end: Redis came back from an older state",
    "trimmed": "entries were cut off before they were stored",
    "restarted": "Redis was restarted; a crash may have cost it what it had not written to disk yet",
}


class Stand(NamedTuple):
    """Where a reader stands: in which life of the log, of which server ("" = not seen yet), behind which entry, and
    how many entries that log had got by then (``None``: not known)."""

    epoch: str
    run_id: str
    position: Position
    added: int | None = None


class Verdict(NamedTuple):
    """Why entries may be missing, a key of ``REASONS`` ("" = none is), where to go on from, and how many are missing
    (``None``: not known)."""

    reason: str
    stand: Stand
    missed: int | None = None


def judge(stood: Stand, now: Bounds, *, run_id: str, found: bool) -> Verdict:
    """``found``: does the log still hold the entry at the position?"""
    at, gone = stood.position, now.added - now.entries
    start = Stand(now.epoch, run_id, START, gone)
    if stood.epoch and now.epoch != stood.epoch:
        return Verdict("reborn", start)
    if at == START:
        return Verdict(_restarted(stood, run_id), start)
    end = Stand(now.epoch, run_id, now.last, now.added)
    if at == now.last:
        return Verdict(_restarted(stood, run_id), end)
    if not found:
        if at > now.last or (now.first is not None and now.first < at):
            return Verdict("rolled back", start)
        if stood.added is None or gone > stood.added:
            missed = None if stood.added is None else gone - stood.added
            return Verdict("trimmed", start if now.entries else end, missed)
    return Verdict(_restarted(stood, run_id), stood._replace(epoch=now.epoch, run_id=run_id))


def _restarted(stood: Stand, run_id: str) -> str:
    return "restarted" if stood.run_id and run_id and run_id != stood.run_id else ""
