"""What a process without a web server says of itself -> ``/healthz`` and ``/readyz`` on a port, for orchestrators.

``/healthz`` fails when a restart helps: the process has not said a word for too long, or says itself that it is stuck.
``/readyz`` is 200 while it does its work; a Redis that is away is a reason to wait, not to restart.
"""

from __future__ import annotations

import socket
import threading
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import msgspec

REQUEST_SECONDS = 5.0  # that a client may take

STARTING = "it has not begun yet"


class CannotBind(Exception):
    """The address is taken, or not ours; the message is a sentence."""


def address(text: str) -> tuple[str, int]:
    """A port, of all interfaces or of ``HOST:``; for argparse."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and int(port) < 65536):
        raise ArgumentTypeError(f"must be a port or HOST:PORT, not {text!r}")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 (whoever probes is on another machine)


class Probe:
    """A context manager. ``address`` is ``(host, port)``, or ``None`` to do nothing; raises ``CannotBind`` at entry.
    ``name`` is the member of the answers that holds the last report; ``silent_seconds`` is how long there may be none.
    """

    def __init__(
        self,
        address: tuple[str, int] | None,
        *,
        name: str,
        silent_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._name = name
        self._silent_seconds = silent_seconds
        self._clock = clock
        self._report: Any = None
        self._stuck: Sequence[str] = ()
        self._idle: Sequence[str] = (STARTING,)
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

    def show(self, report: Any, *, idle: Sequence[str] = (), stuck: Sequence[str] = ()) -> None:
        """How the process stands now: why it does not do its work, if so, and what only a restart would mend."""
        self._report, self._idle, self._stuck, self._told_at = report, idle, stuck, self._clock()

    def answer(self, path: str) -> tuple[int, bytes]:
        """A path -> the status and the body; pure but for the clock."""
        silent = self._clock() - self._told_at
        stuck = [*self._stuck]
        if silent > self._silent_seconds:
            stuck.append(f"it has not said a word for {silent:.0f} s")
        if path == "/healthz":
            return self._said("healthy", stuck)
        if path == "/readyz":
            return self._said("ready", [*stuck, *self._idle])
        return 404, b'{"error":"there are /healthz and /readyz"}'

    def _said(self, word: str, reasons: list[str]) -> tuple[int, bytes]:
        body = msgspec.json.encode({word: not reasons, "reasons": reasons, self._name: self._report})
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
