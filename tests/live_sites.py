"""A server and a database -> the site's web process alone, for tests of the live stream; its limits are a test's."""

import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import httpx

from tests.processes import Process, plain_environment, python
from tests.sites import Database
from tests.sse import Listening
from tests.waiting import PATIENCE, eventually

UVICORN = ("-m", "uvicorn", "broker_site.asgi:application", "--no-access-log", "--fd")
DJANGO_ALONE = (
    "-m",
    "uvicorn",
    "--factory",
    "django.core.asgi:get_asgi_application",
    "--no-access-log",
    "--fd",
)


@dataclass(slots=True)
class LiveSite:
    """A running web process. ``client`` has the admin's session; one client for each stream, made as asked for."""

    url: str
    web: Process
    database: Database
    env: dict[str, str]

    def client(self, *, session: str | None = None) -> httpx.Client:
        cookies = {"sessionid": self.database.session if session is None else session}
        return httpx.Client(base_url=self.url, cookies=cookies, timeout=PATIENCE, trust_env=False)

    def listen(
        self, *channels: str, last: int | None = 0, since: str | None = None, **options: str
    ) -> Listening:
        """A stream as the admin, or with ``session=``."""
        return Listening(self.client(**options), *channels, last=last, since=since)

    def connect(self, query: str = "last=0", *, receive_buffer: int | None = None) -> socket.socket:
        """A bare socket that has asked for the stream."""
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(15)
        host = self.url.removeprefix("http://")
        name, _, port = host.partition(":")
        sock.connect((name, int(port)))
        request = f"GET /messages/stream?{query} HTTP/1.1\r\nHost: {host}\r\n"
        sock.sendall(f"{request}Cookie: sessionid={self.database.session}\r\n\r\n".encode())
        return sock


@contextmanager
def live_site(
    template: Database,
    redis_url: str,
    *,
    command: tuple[str, ...] = UVICORN,
    wait: bool = True,
    **messaging: object,
) -> Iterator[LiveSite]:
    """The web process on a free port; ``messaging`` are keys of ``settings.MESSAGING``."""
    directory = Path(tempfile.mkdtemp(prefix="mtl-", dir="/tmp"))
    database = template.copy_to(directory)
    env = plain_environment(
        VAR_DIR=str(directory),
        DATABASE_URL=database.url,
        REDIS_URL=redis_url,
        DJANGO_SETTINGS_MODULE="tests.tuned_settings",
        TEST_MESSAGING=json.dumps(messaging),
    )
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        port = listening.getsockname()[1]
        if command[-1] == "--fd":
            web = Process(python(*command, str(listening.fileno())), env=env, pass_fds=[listening.fileno()])
        else:  # a server that opens the port by itself
            listening.close()
            web = Process(python(*command, str(port)), env=env)
    site = LiveSite(f"http://127.0.0.1:{port}", web, database, env)

    def up() -> bool:
        try:
            return httpx.get(f"{site.url}/healthz", timeout=PATIENCE, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    try:
        if wait:
            eventually(up, every=0.05, message=f"up: {web.output}")
        yield site
    finally:
        print(web.output[-5000:])  # noqa: T201 - pytest shows it when the test has failed
        web.clean_up()
        rmtree(directory, ignore_errors=True)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_kib(pid: int) -> int:
    """Memory of a process that is its own."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Private_Dirty")).split()[1])
