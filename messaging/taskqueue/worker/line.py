"""Packed commands -> replies, over one connection that a worker process keeps for its queues.

redis-py's client costs more than all else that a process does to fetch tasks; its ``Connection`` does not.
"""

from __future__ import annotations

import threading
from typing import Any

from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from messaging import connection


class Line:
    """Safe to share between threads, one of which speaks at a time. Every read and write ends after ``timeout`` s."""

    def __init__(self, *, timeout: float) -> None:
        self._pool = connection.pool(timeout=timeout)
        self._connection: Any = None
        self._lock = threading.Lock()

    def call(self, packed: bytes) -> Any:
        """Send one packed command, return its reply; an error reply is returned, not raised. Raises what redis-py
        raises when there is none."""
        with self._lock:
            try:
                line = self._whole()
                line.send_packed_command((packed,), check_health=False)
                try:
                    reply = line.read_response()
                except ResponseError as error:
                    reply = error
            except BaseException:
                self._hang_up()  # a reply may still come: nobody must read it as theirs
                raise
            if isinstance(reply, ReadOnlyError):
                self._hang_up()  # a master that was demoted: whoever connects now looks for the new one
            return reply

    def _whole(self) -> Any:
        """The connection, unless something is to be read where nothing may be: its end, for example."""
        if self._connection is not None:
            try:
                stirs = self._connection.can_read()
            except (RedisError, OSError):  # that is how it tells of its end
                stirs = True
            if stirs:
                self._hang_up()
        if self._connection is None:
            line: Any = self._pool.make_connection()
            line.connect()
            self._connection = line
        return self._connection

    def _hang_up(self) -> None:
        line, self._connection = self._connection, None
        if line is not None:
            line.disconnect()
