"""A worker's reports -> ``/healthz`` and ``/readyz`` on a port of its own, for probes that cannot look at a file.

``/healthz`` fails when the supervisor has not been round for ``SILENT_SECONDS``: then a restart helps. ``/readyz`` is
200 only while a process claims tasks; a Redis that is away is a reason to wait, not to restart.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import msgspec

from messaging.taskqueue.worker.supervisor import Report

SILENT_SECONDS = 15.0
REQUEST_SECONDS = 5.0  # that a client may take

STARTING = "no process has begun to claim yet"


class CannotBind(Exception):
    """The address is taken, or not ours; the message is a sentence."""


class Probe:
    """A context manager. ``address`` is ``(host, port)``, or ``None`` to do nothing; raises ``CannotBind`` at entry."""

    def __init__(
        self, address: tuple[str, int] | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._address = address
        self._clock = clock
        self._report: Report | None = None
        self._told_at = clock()
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        if self._address is not None:
            try:
                self._server = _server(self._address, self.answer)
            except OSError as error:
                host, port = self._address
                raise CannotBind(f"--probe {host}:{port}: {error.strerror or error}") from error
            threading.Thread(target=self._server.serve_forever, name="messaging-probe", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @property
    def port(self) -> int:
        """Where it answers."""
        return 0 if self._server is None else int(self._server.server_address[1])

    def show(self, report: Report) -> None:
        """How the worker stands now."""
        self._report, self._told_at = report, self._clock()

    def answer(self, path: str) -> tuple[int, bytes]:
        """A path -> the status and the body; pure but for the clock."""
        silent = self._clock() - self._told_at
        stuck = [f"the supervisor has not been round for {silent:.0f} s"] if silent > SILENT_SECONDS else []
        if path == "/healthz":
            return _said("healthy", stuck)
        if path != "/readyz":
            return 404, b'{"error":"there are /healthz and /readyz"}'
        report = self._report
        if report is None or report.state == "starting":
            return _said("ready", [*stuck, STARTING], report)
        idle = [] if report.state == "working" else report.failures or [report.state]
        return _said("ready", [*stuck, *idle], report)


def _said(word: str, reasons: list[str], report: Report | None = None) -> tuple[int, bytes]:
    body = msgspec.json.encode({word: not reasons, "reasons": reasons, "worker": report})
    return 503 if reasons else 200, body


def _server(address: tuple[str, int], answer: Callable[[str], tuple[int, bytes]]) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_SECONDS

        def do_GET(self) -> None:
            status, body = answer(self.path.partition("?")[0])
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 (http.server looks for these names)

        def log_message(self, *args: object) -> None:
            """Not a line for each probe."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        daemon_threads = True

        def server_bind(self) -> None:
            """Without the name that the standard library asks the resolver for."""
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(self.server_address)
            self.server_address = self.socket.getsockname()
            self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    return Server(address, Handler)
