"""Clients that are not ours: the browser's EventSource and curl go on where their stream ended."""

import json
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from messaging import publish
from tests.conftest import reset_clients
from tests.live_sites import LiveSite, live_site
from tests.servers import TestServer
from tests.sites import Database

pytestmark = pytest.mark.browser

LISTEN = """() => {
    window.got = []; window.opened = 0;
    window.source = new EventSource("/messages/stream?channel=es&last=0");
    source.onmessage = ({ data, lastEventId }) => got.push([JSON.parse(data).event.data, lastEventId]);
    source.addEventListener("live", () => opened++);
}"""


@pytest.fixture
def live(broker: TestServer, database_template: Database) -> Iterator[LiveSite]:
    """Streams that end by themselves after a second."""
    with live_site(database_template, broker.url, LIVE_MAX_AGE_SECONDS=1.0) as site:
        yield site
    reset_clients()


@pytest.fixture
def tab(chromium: Browser, live: LiveSite) -> Iterator[Page]:
    context = chromium.new_context(base_url=live.url)
    context.add_cookies([{"name": "sessionid", "value": live.database.session, "url": live.url}])
    yield context.new_page()
    context.close()


def test_an_event_source_and_curl_go_on_where_they_were(live: LiveSite, tab: Page) -> None:
    tab.goto("/accounts/login/")
    tab.evaluate(LISTEN)
    tab.wait_for_function("() => opened === 1")
    for n in range(3):
        publish("es", n)
        tab.wait_for_function("(n) => got.length > n", arg=n)
        tab.wait_for_function("(n) => opened > n + 1", arg=n)  # its stream has ended, and it has come back
    publish("es", 3)
    tab.wait_for_function("() => got.length === 4")
    assert [n for n, _ in tab.evaluate("got")] == [0, 1, 2, 3]
    second = tab.evaluate("got[1][1]")
    tab.evaluate("source.close()")
    resumed = subprocess.run(
        [
            *("curl", "-sN", "--max-time", "30", "-b", f"sessionid={live.database.session}"),
            *("-H", f"Last-Event-ID: {second}", f"{live.url}/messages/stream?channel=es"),
        ],
        capture_output=True,
        check=True,
        timeout=40,
    )
    frames = [line[6:] for line in resumed.stdout.splitlines() if line.startswith(b'data: {"at"')]
    assert [json.loads(frame)["event"]["data"] for frame in frames] == [2, 3]
