"""What runs while workers are killed. Each task writes into the ledger before and after its effect."""

import asyncio
import os
import signal
import time
from functools import cache
from pathlib import Path

from django.db import transaction

from messaging import publish
from messaging.taskqueue import task
from tests.kills.ledger import Ledger

TOLD = "kills.told"
LEDGER = "KILLS_LEDGER"  # environment variable: where it is


@cache
def ledger() -> Ledger:
    return Ledger(Path(os.environ[LEDGER]))


@task
def work(number: int, seconds: float) -> int:
    ledger().note("began", number)
    time.sleep(seconds)
    ledger().note("ended", number)
    return number


@task
async def awork(number: int, seconds: float) -> int:
    ledger().note("began", number)
    await asyncio.sleep(seconds)
    ledger().note("ended", number)
    return number


@task(max_attempts=2, backoff=0.2)
def flaky(number: int) -> int:
    """Fails the first time that nobody kills it."""
    ledger().note("began", number)
    failed_before = _has_failed(number)
    ledger().note("ended", number)
    if not failed_before:
        raise ValueError("for the first time")
    return number


def _has_failed(number: int) -> bool:
    marker = Path(f"{os.environ[LEDGER]}.{number}")
    if marker.exists():
        return True
    marker.touch()
    return False


@task
def tell(number: int) -> int:
    """Writes to the database, in a transaction that publishes."""
    ledger().note("began", number)
    with transaction.atomic():
        publish(TOLD, number)
    ledger().note("ended", number)
    return number


@task
def poison(number: int) -> None:
    ledger().note("began", number)
    ledger().note("dying", number)
    os.kill(os.getpid(), signal.SIGKILL)
