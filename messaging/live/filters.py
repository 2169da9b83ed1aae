"""Channel patterns -> does a frame belong to this stream? Equal filters share a feed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from messaging.patterns import is_pattern, matches_any


@dataclass(frozen=True, slots=True)
class Filter:
    """A set of names and globs; none at all takes everything."""

    patterns: tuple[str, ...] = ()
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

    @property
    def exact(self) -> frozenset[str] | None:
        """The names, if nothing but names is asked for."""
        return self.names if self.names and not self.globs else None

    def takes(self, channel: str | None) -> bool:
        """``None`` is the channel of an entry that could not be read: only who asks for everything sees it."""
        if not self.patterns:
            return True
        return channel is not None and (channel in self.names or matches_any(self.globs, channel))
