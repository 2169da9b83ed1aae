"""A directory -> django-eventstream under daphne, as its documentation starts it: the yardstick in Django."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.live.server import Missing, Server
from tests.processes import ROOT, Process, plain_environment
from tests.servers import free_port
from tests.waiting import eventually

PACKAGES = ("django-eventstream", "daphne")
VENV = ROOT / "var" / "yardstick"


@contextmanager
def eventstream(directory: Path) -> Iterator[Server]:
    """Its own virtual environment, made when it is not there. Raises :class:`Missing`."""
    python = _environment()
    directory.mkdir()
    port = free_port()
    process = Process(
        [
            *(str(python), "-m", "daphne", "--bind", "127.0.0.1", "--port", str(port), "--verbosity", "0"),
            *("--access-log", "/dev/null", "benchmarks.live.eventstream_site:application"),
        ],
        env=plain_environment(DJANGO_SETTINGS_MODULE="benchmarks.live.eventstream_site"),
    )
    try:
        eventually(
            lambda: _post(port, b"[]") == 200,
            timeout=30,
            every=0.05,
            message=f"eventstream: {process.output}",
        )
        request = "GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"

        def publish(payloads: Sequence[bytes]) -> None:
            _post(port, b"[%b]" % b",".join(payloads))

        yield Server("eventstream", port, request, "stream-open", lambda: [process.pid], publish)
    finally:
        process.clean_up()


def _environment() -> Path:
    python = VENV / "bin" / "python"
    if not (VENV / "installed").exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True, capture_output=True)
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
            subprocess.run(pip, check=True, capture_output=True, timeout=300)
        except (subprocess.SubprocessError, OSError) as error:
            raise Missing(f"{' and '.join(PACKAGES)} could not be installed: {error}") from error
        (VENV / "installed").touch()
    return python


def _post(port: int, body: bytes) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/publish", body)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()
