"""A Redis glob -> does a channel match?

The rules are those of Redis ``PSUBSCRIBE`` (``stringmatchlen`` in its ``util.c``): ``*`` any run, ``?`` any one,
``[abc]``, ``[^a]``, ``[a-z]`` a set, ``\\`` takes the next one literally. An unclosed ``[`` reads to the end. Redis
compares bytes, so ``?`` and a set stand for one byte of UTF-8 and match an accented letter only twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_SPECIAL = frozenset("*?[\\")
_ALL = frozenset(range(256))
_CARET, _CLOSE, _BACKSLASH, _DASH = b"^]\\-"


def is_pattern(text: str) -> bool:
    """Does this text have a glob character?"""
    return not _SPECIAL.isdisjoint(text)


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> re.Pattern[bytes]:
    """The regular expression for a Redis glob; ``fullmatch`` decides, in time linear in the length of the channel.

    What stands between two stars may match at its first occurrence only (an atomic group): a later one cannot help,
    and without backtracking a pattern such as ``*a*a*a*a*b`` cannot be used to burn a server's time.
    """
    glob = raw(pattern)
    runs: list[list[bytes]] = [[]]
    at, end = 0, len(glob)
    while at < end:
        char = glob[at : at + 1]
        at += 1
        if char == b"*":
            runs.append([])
        elif char == b"?":
            runs[-1].append(b".")
        elif char == b"[":
            members, at = _set(glob, at)
            runs[-1].append(_one_of(members))
        else:
            if char == b"\\" and at < end:
                char = glob[at : at + 1]
                at += 1
            runs[-1].append(re.escape(char))
    first, *rest = (b"".join(run) for run in runs)
    if not rest:
        return re.compile(first, re.DOTALL)
    *middle, last = rest
    groups = b"".join(b"(?>.*?%b)" % run for run in middle if run)
    return re.compile(b"%b%b.*%b" % (first, groups, last), re.DOTALL)


def _set(glob: bytes, at: int) -> tuple[frozenset[int], int]:
    """The set that starts behind a ``[`` -> the bytes that it matches and the index behind its ``]``."""
    end = len(glob)
    negated = at < end and glob[at] == _CARET
    at += negated
    members: set[int] = set()
    while at < end and glob[at] != _CLOSE:
        if glob[at] == _BACKSLASH and at + 1 < end:
            members.add(glob[at + 1])
            at += 2
        elif at + 2 < end and glob[at + 1] == _DASH:
            low, high = sorted((_signed(glob[at]), _signed(glob[at + 2])))
            members |= {each % 256 for each in range(low, high + 1)}
            at += 3
        else:
            members.add(glob[at])
            at += 1
    return (_ALL - members if negated else frozenset(members)), at + 1


def _signed(byte: int) -> int:
    """As C compares a ``char`` on most machines: it matters for a range from ASCII to beyond."""
    return byte - 256 if byte > 127 else byte


def _one_of(members: frozenset[int]) -> bytes:
    """Bytes -> an expression for any one of them. It grows with the glob, not with what the set matches: a pattern
    comes from whoever opens a stream, and an expression takes time to compile."""
    if not members:
        return b"(?!)"
    if len(members) == len(_ALL):
        return b"."
    ends = [each for each in sorted(members) if each + 1 not in members]
    starts = [each for each in sorted(members) if each - 1 not in members]
    return b"[%b]" % b"".join(b"\\x%02x-\\x%02x" % each for each in zip(starts, ends, strict=True))


def raw(text: str) -> bytes:
    """A channel or pattern -> the bytes that Redis sees; bytes that are not UTF-8 may stand in it as surrogates."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that stands for no byte: Redis has never seen it
        return text.encode("utf-8", "surrogatepass")


def matches(pattern: str, channel: str) -> bool:
    """Would Redis deliver a message on ``channel`` to a subscriber of ``pattern``?"""
    if not channel:  # not even a star matches nothing at all
        return not pattern
    return compiled(pattern).fullmatch(raw(channel)) is not None


def matches_any(patterns: Iterable[str], channel: str) -> bool:
    """Does any of the patterns match?"""
    return any(matches(pattern, channel) for pattern in patterns)
