"""Channel patterns -> does a frame belong to this stream? Equal filters share a feed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from messaging.live.rights import Rights
from messaging.patterns import is_pattern, matches_any

if TYPE_CHECKING:
    from messaging.live.sight import Sight


@dataclass(frozen=True, slots=True)
class Filter:
    """A set of names and globs; none at all takes everything. With ``rights``, of that only what they allow;
    with a ``sight``, as its bearer sees it."""

    patterns: tuple[str, ...] = ()
    rights: Rights | None = None
    asking: bool = False  # may ``takes`` ask, and block?
    sight: Sight | None = None
    names: frozenset[str] = field(init=False, compare=False)
    globs: tuple[str, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        globs = tuple(pattern for pattern in self.patterns if is_pattern(pattern))
        object.__setattr__(self, "globs", globs)
        object.__setattr__(self, "names", frozenset(self.patterns).difference(globs))

    @classmethod
    def of(cls, patterns: Iterable[str]) -> Filter:
        """The same filter for the same patterns in any order; with ``*`` among them: everything."""
        found = set(patterns)
        return cls(() if "*" in found else tuple(sorted(found)))

    def within(self, rights: Rights) -> Filter:
        """Of what it takes, only what these rights allow."""
        return replace(self, rights=rights)

    def seen_by(self, sight: Sight | None) -> Filter:
        return self if sight is None else replace(self, sight=sight)

    def blocking(self) -> Filter:
        """The same for a thread: it asks for rights that are not known yet."""
        return self if self.rights is None else replace(self, asking=True)

    @property
    def exact(self) -> frozenset[str] | None:
        """The names, if nothing but names is asked for."""
        return self.names if self.names and not self.globs else None

    def covers(self, pattern: str) -> bool:
        """Is whatever this name or glob takes taken here as well? Only what is plain to see counts: the same glob, or
        one that begins with what stands before the only star of one of ours."""
        if not self.patterns:
            return True
        if not is_pattern(pattern):
            return self._matches(pattern)
        return any(
            pattern == ours
            or (ours.endswith("*") and not is_pattern(ours[:-1]) and pattern.startswith(ours[:-1]))
            for ours in self.globs
        )

    def covers_all(self, other: Filter) -> bool:
        """Of everything that the other takes?"""
        return all(self.covers(pattern) for pattern in other.patterns or ("*",))

    def takes(self, channel: str | None) -> bool:
        """``None`` is the channel of an entry that could not be read: only who may see everything sees it."""
        if channel is None:
            return not self.patterns and self.rights is None
        if not self._matches(channel):
            return False
        if self.rights is None:
            return True
        return self.rights.ask(channel) if self.asking else self.rights.known(channel) is True

    def unsure(self, channel: str | None) -> bool:
        """Would it take this channel, if only the rights were known?"""
        return (
            self.rights is not None
            and channel is not None
            and self.rights.known(channel) is None
            and self._matches(channel)
        )

    def _matches(self, channel: str) -> bool:
        return not self.patterns or channel in self.names or matches_any(self.globs, channel)
