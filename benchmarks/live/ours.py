"""A stage -> the site's web process, as ``make run`` starts it, and its way to publish."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

from benchmarks.live.server import Server, decoded
from benchmarks.stage import Stage
from messaging import publish_many
from tests.processes import Process, plain_environment
from tests.sites import make_database, start_web

CHANNEL = "bench.live"


@contextmanager
def ours(stage: Stage, name: str = "ours") -> Iterator[tuple[Server, Process]]:
    """uvicorn with the live application in front of Django; all streams are of one admin's session."""
    directory = stage.directory / name
    directory.mkdir()
    database = make_database(directory)
    env = plain_environment(
        VAR_DIR=str(directory),
        DATABASE_URL=database.url,
        REDIS_URL=f"unix://{stage.broker.socket}?db=0",
        LOG_LEVEL="WARNING",
        DJANGO_SETTINGS_MODULE="benchmarks.live.roomy_settings",
    )
    process, url = start_web(env)
    port = urlsplit(url).port or 0
    request = (
        f"GET /messages/stream?channel={CHANNEL}&last=0 HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{port}\r\nCookie: sessionid={database.session}\r\n\r\n"
    )

    def publish(payloads: Sequence[bytes]) -> None:
        publish_many([(CHANNEL, each) for each in decoded(payloads)])

    try:
        yield (
            Server("this", port, request, "event: live", lambda: [process.pid], publish),
            process,
        )
    finally:
        process.clean_up()
