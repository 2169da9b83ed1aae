"""Things that a transaction may take back -> a sequence of those that stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from django.db import connections, transaction

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Commit:
    """A callback of a transaction, which Django drops when the transaction, or a savepoint in it, is rolled back."""

    connection: Any
    came: bool = False

    def __call__(self) -> None:
        self.came = True

    @property
    def was_rolled_back(self) -> bool:
        return not self.came and all(
            function is not self for _, function, *_ in self.connection.run_on_commit
        )


def commit_of(using: str) -> Commit | None:
    """The end of the transaction that is open in this thread; ``None`` without one."""
    connection = connections[using]
    if not connection.in_atomic_block:
        return None
    commit = Commit(connection)
    transaction.on_commit(commit, using=using)
    return commit


class Kept(Sequence[T]):
    """In the order in which they came. What a rolled-back transaction did is not among them; what an open one did, as
    all of a ``TestCase``, is."""

    def __init__(self) -> None:
        self._kept: list[tuple[T, Commit | None]] = []

    def clear(self) -> None:
        """Forget them."""
        self._kept.clear()

    def keep(self, things: Iterable[T], commit: Commit | None = None) -> None:
        """Add some."""
        self._kept += [(thing, commit) for thing in things]

    def _all(self) -> list[T]:
        return [thing for thing, commit in self._kept if commit is None or not commit.was_rolled_back]

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        return self._all()[index]

    def __len__(self) -> int:
        return len(self._all())

    def __eq__(self, other: object) -> bool:
        return self._all() == (other._all() if isinstance(other, Kept) else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._all()}>"
