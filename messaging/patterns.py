"""A Redis glob -> does a channel match?

The rules are those of Redis ``PSUBSCRIBE`` (``stringmatchlen`` in its ``util.c``): ``*`` any run, ``?`` any one,
``[abc]``, ``[^a]``, ``[a-z]`` a set, ``\\`` takes the next character literally. An unclosed ``[`` reads to the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_SPECIAL = frozenset("*?[\\")


def is_pattern(text: str) -> bool:
    """Does this text have a glob character?"""
    return not _SPECIAL.isdisjoint(text)


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> re.Pattern[str]:
    """The regular expression for a Redis glob; ``fullmatch`` decides, in time linear in the length of the channel.

    What stands between two stars may match at its first occurrence only (an atomic group): a later one cannot help,
    and without backtracking a pattern such as ``*a*a*a*a*b`` cannot be used to burn a server's time.
    """
    runs: list[list[str]] = [[]]
    at, end = 0, len(pattern)
    while at < end:
        char = pattern[at]
        at += 1
        if char == "*":
            runs.append([])
        elif char == "?":
            runs[-1].append(".")
        elif char == "[":
            chars, at = _set(pattern, at)
            runs[-1].append(chars)
        else:
            if char == "\\" and at < end:
                char = pattern[at]
                at += 1
            runs[-1].append(re.escape(char))
    first, *rest = ("".join(run) for run in runs)
    if not rest:
        return re.compile(first, re.DOTALL)
    *middle, last = rest
    return re.compile(first + "".join(f"(?>.*?{run})" for run in middle if run) + f".*{last}", re.DOTALL)


def _set(pattern: str, at: int) -> tuple[str, int]:
    """The set that starts behind a ``[`` -> its expression and the index behind its ``]``."""
    end = len(pattern)
    negated = at < end and pattern[at] == "^"
    at += negated
    members: list[str] = []
    while at < end and pattern[at] != "]":
        if pattern[at] == "\\" and at + 1 < end:
            members.append(re.escape(pattern[at + 1]))
            at += 2
        elif at + 2 < end and pattern[at + 1] == "-":
            low, high = sorted((pattern[at], pattern[at + 2]))
            members.append(f"{re.escape(low)}-{re.escape(high)}")
            at += 3
        else:
            members.append(re.escape(pattern[at]))
            at += 1
    at += 1
    if not members:
        return ("." if negated else "(?!)"), at
    return f"[{'^' if negated else ''}{''.join(members)}]", at


def matches(pattern: str, channel: str) -> bool:
    """Would Redis deliver a message on ``channel`` to a subscriber of ``pattern``?"""
    return compiled(pattern).fullmatch(channel) is not None


def matches_any(patterns: Iterable[str], channel: str) -> bool:
    """Does any of the patterns match?"""
    return any(matches(pattern, channel) for pattern in patterns)
