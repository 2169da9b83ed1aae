"""A task that only the newer of two releases has: workers with KILLS_RELEASE=old do not know it."""

import os

from messaging.taskqueue import task
from tests.kills.tasks import ledger

RELEASE = "KILLS_RELEASE"
OLD = "old"

if os.environ.get(RELEASE) == OLD:
    raise ImportError("this release has no such module")


@task
def added(number: int) -> int:
    ledger().note("began", number)
    ledger().note("ended", number)
    return number
