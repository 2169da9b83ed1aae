"""What the workers of the tests run: tasks that leave marks in a list of Redis, wait, fail, hang and kill."""

import asyncio
import ctypes
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import redis
from django.db import connection as database
from django.db import connections

from messaging import connection
from messaging.taskqueue import task

MARKS = "marks"


def mark(text: str) -> None:
    """Seen by the test."""
    connection.client().rpush(MARKS, text)


def wait_for(key: str, seconds: float = 30.0) -> None:
    """Until the test has set this key; in short steps, so that an exception can be raised in between."""
    client = connection.client()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(redis.RedisError):  # its server may be away meanwhile
            if client.exists(key):
                return
        time.sleep(0.01)


@task
def add(a: int, b: int) -> int:
    return a + b


@task
async def aadd(a: int, b: int) -> int:
    await asyncio.sleep(0)
    return a + b


@task
def leave(text: str) -> int:
    mark(text)
    return os.getpid()


@task(max_attempts=3)
def wait(key: str) -> int:
    mark(f"began {key}")
    wait_for(key)
    mark(f"ended {key}")
    return os.getpid()


@task
async def await_(key: str) -> None:
    mark(f"began {key}")
    try:
        await asyncio.to_thread(wait_for, key)
        mark(f"ended {key}")
    except asyncio.CancelledError:
        mark(f"cancelled {key}")
        raise


@task
def exit_(how: str) -> None:
    if how == "SystemExit":
        sys.exit(3)
    raise KeyboardInterrupt


def at_once(error: BaseException, result: Any) -> float:
    mark(f"{type(error).__name__} again at once")
    return 0.0


@task
async def aexit() -> None:
    sys.exit(3)


@task(timeout=0.2)
def loop_for_ever() -> None:
    while True:
        time.sleep(0.01)


@task(timeout=0.2)
def sleep_for_long() -> None:
    time.sleep(60)  # nothing can be raised in here


@task(timeout=0.2)
async def asleep_for_long() -> None:
    await asyncio.sleep(60)


@task
def hold_the_interpreter(milliseconds: int) -> int:
    """As C code that does not release the lock: no other thread of this process runs meanwhile."""
    mark("holds the interpreter")
    ctypes.PyDLL(None).usleep(milliseconds * 1000)
    return os.getpid()


@task
def kill_worker() -> None:
    mark("killing")
    os.kill(os.getpid(), signal.SIGKILL)


@task
def kill_worker_at_once() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@task
def kill_worker_once(key: str) -> str:
    mark(f"began {key}")
    if connection.client().set(key, "1", nx=True):
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


@task
def use_database() -> str:
    with database.cursor() as cursor:
        cursor.execute("SELECT 1")
    return threading.current_thread().name


@task
def open_connections() -> list[str]:
    """Before this task, in its thread."""
    return [each.alias for each in connections.all(initialized_only=True) if each.connection is not None]


_kept: list[bytes] = []


@task
def grow(megabytes: int) -> int:
    _kept.append(b"x" * (megabytes * 1_000_000))
    return os.getpid()


@task
def pid() -> int:
    return os.getpid()
