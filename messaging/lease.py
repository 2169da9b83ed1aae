"""Many listeners -> one in charge. The lease saves the others the work; fences keep it safe.

A process may freeze past its lease and wake up in the middle of a step. What it stores is refused by the fence in the
database, what it captures by the fence in Redis: each new holder has a higher token, and raises the fence with it
before it listens.
"""

from __future__ import annotations

import os
import secrets
import socket
import time

import redis

from messaging import keys, log, scripts
from messaging.conf import conf


def new_owner() -> str:
    """A name for this listener that no other has: ``host:pid:random``."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


class Fenced(Exception):
    """Another listener has taken over capturing; nothing was written."""


class Lease:
    """The lease as one listener sees it."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.owner = new_owner()
        self.holder = ""  # whoever was in charge at the last look
        self.token = 0  # of the holder
        self._until = 0.0

    @property
    def is_ours(self) -> bool:
        """May we still act? Counted from before the last renewal, so that we stop before another may start."""
        return time.monotonic() < self._until

    def hold(self) -> bool:
        """Take or renew it; are we in charge? Raises what redis-py raises."""
        asked = time.monotonic()
        self.holder, self.token = scripts.take_lease(self._client, self.owner, seconds=conf.LEASE_SECONDS)
        self._until = asked + conf.LEASE_SECONDS if self.holder == self.owner else 0.0
        return self.is_ours

    def raise_fences(self) -> None:
        """Before anything is captured under this lease. Raises :class:`Fenced`, and what redis-py raises."""
        for partition in log.partitions():
            if not scripts.take_partition(self._client, partition, self.token):
                raise Fenced(f"partition {partition} has been taken over with a higher token")

    def release(self) -> None:
        """Let a standby take over at once."""
        self._until = 0.0
        scripts.release_lease(self._client, self.owner)


def beat(client: redis.Redis, report: bytes) -> None:
    """Say that the listener in charge is alive, with its report (JSON)."""
    client.set(keys.heartbeat(), report, px=int(conf.LEASE_SECONDS * 1000))


def last_beat(client: redis.Redis) -> bytes | None:
    """The report of the listener in charge; ``None`` if none has been alive within ``LEASE_SECONDS``."""
    found: bytes | None = client.execute_command("GET", keys.heartbeat())
    return found
