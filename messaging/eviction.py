"""A database session that holds the cursor for longer than a lease -> ended, so that a standby can take over.

A listener that is frozen (SIGSTOP, a paused machine, a network that is gone) in the middle of a transaction keeps its
row locks for as long as its connection stands, which may be hours; no time-out of PostgreSQL 15 ends a session that
waits for the rows of a COPY. What it had begun is rolled back, and when it wakes up its fence is out of date.
SQLite's lock belongs to a process of the same machine and nobody can take it away.
"""

from __future__ import annotations

import logging

from django.db.backends.base.base import BaseDatabaseWrapper

from messaging.models import Cursor

logger = logging.getLogger("messaging.listen")

LOCK_SECONDS = 1.0  # to wait for the cursor's lock; whoever has it may not be old enough to be ended yet

# Ending a session of one's own role needs no privilege.
_EVICT = f"""
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid IN (SELECT pid FROM pg_locks WHERE relation = '{Cursor._meta.db_table}'::regclass AND granted
              AND mode IN ('RowShareLock', 'RowExclusiveLock'))
  AND pid <> pg_backend_pid() AND usename = current_user AND datname = current_database()
  AND xact_start < clock_timestamp() - %s * interval '1 second'
"""  # noqa: S608 (the table's name is a constant)


def evict(connection: BaseDatabaseWrapper, *, seconds: float) -> int:
    """In the transaction that is about to lock the cursor: end sessions that have held it for so long; how many.

    The lock itself is waited for at most ``LOCK_SECONDS``; then the database raises ``OperationalError``.
    """
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {int(LOCK_SECONDS * 1000)}")
        cursor.execute(_EVICT, [seconds])
        ended = len(cursor.fetchall())
    if ended:
        logger.warning("ended %d database sessions that held the cursor for over %.0f s", ended, seconds)
    return ended
