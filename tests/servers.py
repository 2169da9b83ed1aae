"""A binary -> a private Redis or Valkey server for tests: a Unix socket and a TCP port on the loopback interface."""

import random
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis

from messaging.standalone.embedded import EmbeddedServer
from tests.waiting import eventually


def free_port() -> int:
    """A TCP port that was free a moment ago; none of those that the system gives to clients, of which one may have it
    before a server does."""
    for _ in range(1000):
        port = random.SystemRandom().randrange(10_000, _first_for_clients())
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


def _first_for_clients() -> int:
    with suppress(OSError):
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        return first if first > 11_000 else 65_536
    return 32_768


class TestServer:
    """A server with persistence on, in a directory of its own; ``options`` are configuration directives."""

    __test__ = False  # not a test class, whatever its name

    def __init__(self, *, binary: Path | None = None, options: dict[str, str] | None = None) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="mts-", dir="/tmp"))
        self.port = free_port()
        self.socket = self.directory / "s"
        self._server = EmbeddedServer(
            self.directory / "data",
            socket=self.socket,
            port=self.port,
            binary=binary,
            options={"enable-debug-command": "local", **(options or {})},
        )
        self._clients: list[redis.Redis] = []
        try:
            self.start()
        except BaseException:
            self.remove()
            raise

    @property
    def url(self) -> str:
        """Over the Unix socket, database 0."""
        return f"unix://{self.socket}?db=0"

    @property
    def tcp_url(self) -> str:
        """Over TCP, database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._server.pid is not None
        return self._server.pid

    def client(self, **options: object) -> redis.Redis:
        """A plain redis-py client, closed when the server goes; ``options`` as for ``redis.Redis``."""
        made = redis.Redis(**{"unix_socket_path": str(self.socket), "socket_timeout": 10} | options)
        self._clients.append(made)
        return made

    @staticmethod
    def connect(socket: Path) -> redis.Redis:
        """A plain client of any server on a Unix socket, for a ``with``."""
        return redis.Redis(unix_socket_path=str(socket), socket_timeout=10)

    @contextmanager
    def told(self, **options: str) -> Iterator[None]:
        """Directives for the starts within."""
        before, self._server.options = self._server.options, self._server.options | options
        try:
            yield
        finally:
            self._server.options = before

    def start(self) -> None:
        """Starts it, on the data that it had; returns when it answers."""
        self._server.start()
        self._server.wait_ready()

    def stop(self) -> None:
        """Ends it in good order."""
        self._server.stop()

    def kill(self) -> None:
        """``kill -9``."""
        self._server.kill()

    def signal(self, number: int) -> None:
        """For example SIGSTOP and SIGCONT."""
        self._server.signal(number)

    def restart(self) -> None:
        """Stop and start: the data is kept, every connection is cut."""
        self.stop()
        self.start()

    def revive(self) -> None:
        """Starts it if it does not run, and takes back what a test may have changed."""
        if not self._server.alive():
            self.start()
        self.client().flushall()
        self.close_clients()

    def close_clients(self) -> None:
        """Closes every client that :meth:`client` made."""
        while self._clients:
            self._clients.pop().close()

    def remove(self) -> None:
        """Ends it and removes its directory."""
        self.close_clients()
        self._server.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


def cluster_node() -> TestServer:
    """A server in cluster mode, which refuses calls whose keys lie in several slots. All of them are its own, so that a
    client that knows nothing of clusters can speak to it."""
    server = TestServer(options={"cluster-enabled": "yes", "cluster-port": str(free_port())})
    try:
        server.client().execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        eventually(lambda: b"cluster_state:ok" in server.client().execute_command("CLUSTER", "INFO"))
    except BaseException:
        server.remove()
        raise
    return server
