"""The live page and its connection, answered by a server that does what a test wants."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from pytest_django import Settings

from messaging import publish
from tests.browser import Console
from tests.conftest import OpenPage, reset_clients
from tests.pages.live import Shot, open_live, rows, shown_numbers, until
from tests.sites import Site

pytestmark = [pytest.mark.browser, pytest.mark.once]  # the browser's side, not Python's


EPOCH = "0123456789abcdef"


def frame(n: int) -> str:
    """A message as the stream sends it."""
    event = {"specversion": "1.0", "id": str(n), "source": "/s", "type": "c", "subject": "c"}
    data = {
        "at": f"0.{1763765275000 + n}-0",
        "event": event | {"time": "2025-11-21T22:47:55Z", "data": {"n": n}},
    }
    return f"id: {EPOCH}.{1763765275000 + n}-0\ndata: {json.dumps(data)}\n\n"


def named(name: str, **facts: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(facts)}\n\n"


def hello(resumed: bool = False, **more: Any) -> str:
    retention = {"entries": 1, "oldest": 1763765275000, "cap": 1000}
    now = 1763765275900
    facts = {
        "position": f"{EPOCH}.0-0",
        "now": now,
        "channels": [],
        "retention": retention,
        "resumed": resumed,
    } | more
    return "retry: 20\n" + named("hello", **facts)


def live(n: int) -> str:
    return named("live", position=f"{EPOCH}.{1763765275000 + n}-0", now=1763765275900)


class Server:
    """Answers the page's requests for the stream with what a test has prepared, then with an empty live stream."""

    def __init__(self, page: Page) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self._answers: list[dict[str, Any]] = []
        page.route("**/messages/stream?*", self._answer)

    def then(self, *parts: str, status: int = 200) -> None:
        """The next answer. It ends, as a connection that is lost does."""
        self._answers.append({"status": status, "content_type": "text/event-stream", "body": "".join(parts)})

    def _answer(self, route: Route) -> None:
        self.asked.append((route.request.url, route.request.headers.get("last-event-id")))
        if self._answers:
            route.fulfill(**self._answers.pop(0))
        # else it hangs, as a quiet stream does


def kinds(page: Page) -> list[str]:
    """ "row" or "divider", from the top."""
    every = page.locator("#rows :is(.row, .divider)")
    found: list[str] = every.evaluate_all("all => all.map((one) => one.classList[0])")
    return found


def test_a_lost_connection_resumes_where_it_was_and_shows_nothing_twice(page: Page) -> None:
    server = Server(page)
    server.then(hello(), frame(1), frame(2), live(2), frame(3))
    server.then(hello(resumed=True), frame(3), frame(4), live(4), ": beat\nid: e.9-0\n\n")
    page.goto("/messages/")
    rows(page, 4)
    assert shown_numbers(page) == [4, 3, 2, 1]
    expect(page.locator("#state")).to_have_attribute("data-state", re.compile("waiting|connecting"))
    assert [last for _, last in server.asked[:2]] == [None, f"{EPOCH}.1763765275003-0"]
    until(page, lambda: len(server.asked) >= 3)
    assert server.asked[2][1] == "e.9-0"


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        ({"reason": "trimmed", "missed": 1284, "from": f"{EPOCH}.1-0"}, "1,284 messages skipped"),
        ({"reason": "reborn", "missed": None, "from": None}, "The log started anew"),
        ({"reason": "overrun", "missed": 1, "from": f"{EPOCH}.1-0"}, "1 message skipped"),
        ({"reason": "trimmed", "missed": None, "from": None}, "Messages may be missing here"),
    ],
)
def test_a_gap_is_a_row_that_says_what_is_missing(page: Page, gap: dict[str, Any], words: str) -> None:
    server = Server(page)
    server.then(hello(), frame(1), live(1), named("gap", to=f"{EPOCH}.2-0", **gap), frame(2))
    page.goto("/messages/")
    rows(page, 2)
    order = kinds(page)
    assert order == ["row", "divider", "row"]
    expect(page.locator(".divider")).to_contain_text(words)


def test_a_crash_of_redis_is_a_row_of_open_pages_and_of_those_opened_later(
    fresh_site: Site, open_page: OpenPage, settings: Settings, screenshot: Shot
) -> None:
    settings.MESSAGING = settings.MESSAGING | {"URL": fresh_site.broker.url}
    reset_clients()
    page = open_page(fresh_site)
    open_live(page, "?channel=crash")
    publish("crash", {"n": 1}, outbox=False)
    rows(page, 1)
    fresh_site.broker.kill()
    fresh_site.broker.start()
    fresh_site.listener.wait_for("Redis was restarted")
    divider = page.locator(".divider")
    expect(divider).to_contain_text("Redis was restarted here")
    reset_clients()
    publish("crash", {"n": 2}, outbox=False)
    rows(page, 2)
    later = open_page(fresh_site)
    open_live(later, "?channel=crash")
    rows(later, 2)
    for each in (page, later):
        assert kinds(each) == ["row", "divider", "row"]
    screenshot(later, "live-crash")


def test_a_page_says_that_redis_does_not_answer_until_it_does(
    fresh_site: Site, open_page: OpenPage, screenshot: Shot
) -> None:
    page = open_page(fresh_site)
    open_live(page, "?channel=orders")
    badge = page.locator("#state")
    expect(badge).to_have_attribute("data-state", "live")
    fresh_site.broker.stop()
    try:
        expect(badge).to_have_text(re.compile(r"Redis silent for \d"))
        expect(page).to_have_title(re.compile("^⚠"))
        screenshot(page, "live-silent")
        page.reload()
        expect(badge).to_have_text(re.compile(r"Redis silent for \d"))
    finally:
        fresh_site.broker.start()
    expect(badge).to_have_attribute("data-state", "live")


def test_a_message_that_waits_in_the_outbox_is_said_to_be_published_when_it_comes(page: Page) -> None:
    server = Server(page)
    server.then(hello(), frame(1), live(1), "retry: 60000\n", named("bye", reason="shutdown"))
    answer = {"id": "2", "channel": "c", "position": None, "waits": True}
    page.route("**/messages/publish/", lambda route: route.fulfill(status=202, json=answer))
    page.goto("/messages/")
    rows(page, 1)
    page.locator("#publish-open").click()
    page.locator("#publish-channel").fill("c")
    page.keyboard.press("Control+Enter")
    said = page.locator("#publish-result")
    expect(said).to_contain_text("The message on c waits in the outbox")
    server.then(hello(resumed=True), frame(2), live(2))
    page.locator("#state").click()
    expect(said).to_have_text("Published on c at 0.1763765275002-0, now that Redis is back.")


def test_what_was_missed_can_be_loaded_from_the_gap(page: Page, screenshot: Shot) -> None:
    server = Server(page)
    gap = named("gap", to=f"{EPOCH}.9-0", reason="overrun", missed=7, **{"from": f"{EPOCH}.1763765275001-0"})
    server.then(hello(), frame(1), gap, frame(9), live(9))
    page.goto("/messages/")
    rows(page, 2)
    screenshot(page, "live-gap")
    page.get_by_role("button", name="Load from there").click()
    until(page, lambda: server.asked[-1][1] == f"{EPOCH}.1763765275001-0")


def test_a_place_that_the_server_does_not_know_leaves_a_mark(page: Page) -> None:
    server = Server(page)
    server.then(hello(), frame(1), live(1))
    server.then(hello(resumed=False), frame(7), live(7))
    page.goto("/messages/")
    rows(page, 2)
    expect(page.locator(".divider")).to_contain_text("Messages may be missing here")


def test_a_server_that_fails_is_asked_again(page: Page, console: Console, screenshot: Shot) -> None:
    console.allow("50[03]")
    server = Server(page)
    server.then(hello(), frame(1), live(1), "retry: 60000\n", named("bye", reason="shutdown"))
    page.goto("/messages/")
    expect(page.locator("#state-text")).to_have_text(re.compile(r"Reconnecting in \d+ s"))
    screenshot(page, "live-reconnecting")
    server.then(status=503)
    page.locator("#state").click()
    expect(page.locator("#state-text")).to_have_text(re.compile("attempt 2"))
    server.then(hello(resumed=True), frame(2), live(2))
    page.locator("#state").click()
    rows(page, 2)


def test_a_stream_that_falls_silent_is_opened_again(page: Page) -> None:
    server = Server(page)
    server.then(hello(heartbeat=0.1), frame(1), live(1))
    page.goto("/messages/")
    until(page, lambda: len(server.asked) >= 4)  # from the second on nothing comes
    assert {last for _, last in server.asked[1:]} == {f"{EPOCH}.1763765275001-0"}
    server.then(hello(resumed=True), frame(2), live(2))
    rows(page, 2)


def test_a_refused_stream_leads_to_the_login_page(page: Page, console: Console) -> None:
    console.allow("403")
    server = Server(page)
    server.then(hello(), frame(1), live(1))
    server.then("no", status=403)
    page.goto("/messages/?q=x")
    expect(page.locator("#state-text")).to_have_text("Signed out")
    page.wait_for_timeout(200)
    assert len(server.asked) == 2  # refused is final
    page.locator("#state").click()
    expect(page).to_have_url(re.compile(r"/accounts/login/\?next=%2Fmessages%2F%3Fq%3Dx$"))


def test_an_unreadable_frame_is_a_row_and_stops_nothing(page: Page) -> None:
    server = Server(page)
    bad = 'data: {"at":"0.1763765275002-0","error":"not JSON","cut":{"size":9,"text":"<broken>"}}\n\n'
    server.then(hello(), frame(1), bad, "data: {{{\n\n", frame(4), live(4))
    page.goto("/messages/")
    rows(page, 4)
    expect(page.locator(".row.unreadable")).to_have_count(2)
    expect(page.locator(".row.unreadable").last).to_contain_text("unreadable: not JSON <broken>")
