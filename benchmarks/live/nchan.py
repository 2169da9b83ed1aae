"""A directory -> nginx with the nchan module as a server of event streams: the yardstick in C."""

from __future__ import annotations

import http.client
import re
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.live.server import Missing, Server
from tests.processes import Process, children_of, plain_environment
from tests.servers import free_port
from tests.waiting import eventually

MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
ANSWER = re.compile(rb"HTTP/1.1 20.*?\r\nContent-Length: (\d+)\r\n.*?\r\n\r\n", re.DOTALL)
CONFIGURATION = """
load_module {module};
daemon off;
worker_processes 1;
worker_rlimit_nofile 16000;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 15000; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        location = /stream {{
            nchan_subscriber eventsource;
            nchan_channel_id bench;
            nchan_subscriber_first_message newest;
        }}
        location = /publish {{
            nchan_publisher;
            nchan_channel_id bench;
            nchan_message_buffer_length 4000;
        }}
    }}
}}
"""


@contextmanager
def nchan(directory: Path) -> Iterator[Server]:
    """One worker. Raises :class:`Missing`."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None or not MODULE.exists():
        raise Missing("no nginx with nchan: Debian package libnginx-mod-nchan")
    directory.mkdir()
    port = free_port()
    file = directory / "nginx.conf"
    file.write_text(CONFIGURATION.format(module=MODULE, directory=directory, port=port))
    process = Process(
        [binary, "-p", str(directory), "-c", str(file), "-e", "stderr"], env=plain_environment()
    )
    try:
        eventually(lambda: _answers(port), timeout=20, every=0.05, message=f"nchan: {process.output}")
        request = "GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), timeout=30) as publisher:

            def publish(payloads: Sequence[bytes]) -> None:
                for start in range(0, len(payloads), 50):
                    _post(publisher, payloads[start : start + 50])

            yield Server("nchan", port, request, "\r\n\r\n", lambda: list(children_of(process.pid)), publish)
    finally:
        process.clean_up()


def _post(publisher: socket.socket, payloads: Sequence[bytes]) -> None:
    """Pipelined: what publishing costs is not the question."""
    head = b"POST /publish HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n"
    publisher.sendall(b"".join(head % len(each) + each for each in payloads))
    seen, answered = b"", 0
    while answered < len(payloads):
        part = publisher.recv(65536)
        if not part:
            raise RuntimeError(f"nchan hung up: {seen[-300:]!r}")
        seen += part
        while (found := ANSWER.match(seen)) and len(seen) >= found.end() + int(found[1]):
            seen = seen[found.end() + int(found[1]) :]
            answered += 1


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/publish")
        return connection.getresponse().status in (200, 204, 404)
    except OSError:
        return False
    finally:
        connection.close()
