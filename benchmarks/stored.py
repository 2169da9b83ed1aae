"""A filled log -> rows, by the relay or by hand: what the figures about storing have in common."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis
from django.conf import settings
from django.db import connections
from django.test import override_settings

from benchmarks.envelopes import messages
from messaging import connection, publish_many
from messaging.models import Channel, Cursor, Message
from messaging.relay import Relay


@contextmanager
def database(alias: str) -> Iterator[None]:
    """The relay stores there."""
    with override_settings(MESSAGING=settings.MESSAGING | {"DATABASE": alias}):
        yield
    connections[alias].close()


def fill(client: redis.Redis, count: int) -> None:
    """A log of ``count`` entries, nothing else in it."""
    client.flushall()
    publish_many(messages(count))


def empty(alias: str) -> None:
    """No rows, and a relay that begins at the start."""
    for model in (Message, Channel, Cursor):
        model.objects.using(alias).all().delete()
    with connections[alias].cursor() as cursor:
        if connections[alias].vendor == "postgresql":
            cursor.execute(f"VACUUM {Message._meta.db_table}")
        else:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def timed(store: Callable[[], None], *, alias: str, count: int) -> float:
    """Microseconds for a row; refuses to time a way that did not store them all."""
    empty(alias)
    began = time.perf_counter()
    store()
    took = time.perf_counter() - began
    stored = Message.objects.using(alias).count()
    if stored != count:
        raise RuntimeError(f"{stored} rows of {count} were stored in {alias}")
    return took / count * 1e6


def by_relay(count: int) -> Callable[[], None]:
    """The relay as the listener runs it, until it has stored ``count`` entries."""

    def store() -> None:
        relay = Relay(connection.client(timeout=10), 0)
        relay.take_over()
        while relay.stored < count:
            relay.step(block_ms=1)

    return store
