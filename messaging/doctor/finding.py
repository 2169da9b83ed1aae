"""A fact -> a finding: what it is, why it matters, what to do about it."""

from __future__ import annotations

import msgspec

OK, NOTE, WARNING, PROBLEM = LEVELS = ("ok", "note", "warning", "problem")


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was looked at. ``command`` is to be typed or set as it stands, ``remedy`` to be read."""

    level: str
    topic: str  # one or two words
    what: str
    why: str = ""
    remedy: str = ""
    command: str = ""


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Findings about one part of the whole."""

    name: str
    findings: list[Finding]


def ok(topic: str, what: str) -> Finding:
    """As it should be."""
    return Finding(level=OK, topic=topic, what=what)


def note(topic: str, what: str, *, why: str, remedy: str = "", command: str = "") -> Finding:
    """Good to know; many sites are right to leave it so."""
    return Finding(level=NOTE, topic=topic, what=what, why=why, remedy=remedy, command=command)


def warning(topic: str, what: str, *, why: str, remedy: str = "", command: str = "") -> Finding:
    """It works, until something else goes wrong."""
    return Finding(level=WARNING, topic=topic, what=what, why=why, remedy=remedy, command=command)


def problem(topic: str, what: str, *, why: str, remedy: str = "", command: str = "") -> Finding:
    """Messages are lost or stand still, now or soon."""
    return Finding(level=PROBLEM, topic=topic, what=what, why=why, remedy=remedy, command=command)
