"""The stage of the short form: the bundled server and SQLite."""

from collections.abc import Iterator

import pytest

from tests.chaos.run import Stage


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """For all cases of a file."""
    made = Stage()
    yield made
    made.close()
