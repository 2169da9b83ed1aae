"""Behind nginx with its default configuration: frames arrive at once, an end of the server is heard, clients are told
apart by their own addresses."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from messaging import publish
from tests.conftest import reset_clients
from tests.live_sites import LiveSite, live_site
from tests.missing import missing
from tests.processes import Process, plain_environment
from tests.servers import TestServer, free_port
from tests.sites import Database
from tests.waiting import PATIENCE, eventually

CONFIGURATION = """
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    gzip on;
    gzip_types *;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {upstream};
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""


@pytest.fixture
def behind(broker: TestServer, database_template: Database, short_directory: Path) -> Iterator[LiveSite]:
    """The site as nginx shows it."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None:
        missing("nginx", "Debian package nginx-light")
    port = free_port()
    with live_site(
        database_template,
        broker.url,
        LIVE_MAX_STREAMS_PER_ADDRESS=2,
        LIVE_TRUSTED_PROXIES=["127.0.0.1", "10.0.0.0/8"],
    ) as site:
        file = short_directory / "nginx.conf"
        file.write_text(CONFIGURATION.format(directory=short_directory, port=port, upstream=site.url))
        nginx = Process(
            [binary, "-p", str(short_directory), "-c", str(file), "-e", "stderr"], env=plain_environment()
        )
        try:
            through = LiveSite(f"http://127.0.0.1:{port}", site.web, site.database, site.env)
            eventually(lambda: answers(through), message=f"nginx: {nginx.output}")
            yield through
        finally:
            nginx.clean_up()
            reset_clients()


def answers(site: LiveSite) -> bool:
    try:
        return httpx.get(f"{site.url}/healthz", timeout=PATIENCE, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_nothing_waits_in_nginx(behind: LiveSite) -> None:
    with behind.listen("c").live() as stream:
        for n in range(3):  # each on its own, smaller than any buffer
            publish("c", n)
            stream.until(lambda s, n=n: s.payloads == list(range(n + 1)))
        with behind.listen("c", since=stream.last_id).live() as again:
            with behind.listen("c") as third:  # the same address
                eventually(lambda: third.ended)
                assert third.named("bye")[0].data == {"reason": "overload", "limit": "address"}
            behind.web.terminate()
            for each in (stream, again):
                eventually(lambda each=each: each.ended)
                assert each.named("bye")[0].data == {"reason": "shutdown"}
