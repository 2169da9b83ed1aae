"""The live log page in a real browser, on the real site: what a reader does, and what must never happen to them."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from pytest_django import Settings

from messaging import publish_many
from tests.browser import Console
from tests.conftest import OpenPage, reset_clients
from tests.sites import ADMIN, PASSWORD, Site

pytestmark = pytest.mark.browser

Send = Callable[..., None]
Shot = Callable[..., Any]

LATE = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def send(site: Site, settings: Settings) -> Iterator[Send]:
    """`send("orders.paid", {"id": 1}, ...)` publishes on the site's broker, in one go."""
    settings.MESSAGING = settings.MESSAGING | {"URL": site.broker.url}
    reset_clients()

    def some(channel: str, *payloads: Any, **attributes: Any) -> None:
        messages = [{"channel": channel, "data": each, **attributes} for each in payloads]
        publish_many(messages, outbox=False)

    yield some
    reset_clients()


def numbers(start: int, end: int) -> list[dict[str, int]]:
    return [{"n": n} for n in range(start, end)]


def open_live(page: Page, query: str = "") -> None:
    page.goto(f"/messages/{query}")
    expect(page.locator("#state")).to_have_attribute("data-state", "live")


def texts(page: Page, selector: str = ".row .payload") -> list[str]:
    return page.locator(selector).all_text_contents()


def shown_numbers(page: Page) -> list[int]:
    """The n of each row, from the top."""
    return [int(found[1]) for text in texts(page) if (found := re.fullmatch(r'\{"n": (\d+)\}', text.strip()))]


def rows(page: Page, count: int) -> None:
    expect(page.locator(".row")).to_have_count(count)


# -- what comes ---------------------------------------------------------------------------------------------------


def test_history_first_then_what_is_published_newest_on_top(page: Page, send: Send) -> None:
    send("flow.one", *numbers(0, 5))
    open_live(page, "?channel=flow.*")
    assert shown_numbers(page) == [4, 3, 2, 1, 0]
    send("flow.two", *numbers(5, 8))
    rows(page, 8)
    assert shown_numbers(page) == [7, 6, 5, 4, 3, 2, 1, 0]
    assert texts(page, ".row .channel")[:1] == ["flow.two"]
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", texts(page, ".row .time")[0])
    page.get_by_label("Newest first").click()
    expect(page.locator(".row").first).to_contain_text('{"n": 0}')
    send("flow.two", {"n": 8})
    rows(page, 9)
    assert shown_numbers(page) == list(range(9))


def test_a_row_tells_type_and_delay_only_when_they_matter(page: Page, send: Send) -> None:
    send("marks", "plain")
    send("marks", "typed", type="com.example.typed")
    send("marks", "late", time=LATE)
    open_live(page, "?channel=marks")
    rows(page, 3)
    assert page.locator(".row .type").all_inner_texts() == ["com.example.typed"]
    assert page.locator(".row .late").count() == 1
    expect(page.locator(".row").first.locator(".late.very")).to_contain_text("late")
    page.locator(".row .time").first.hover()
    expect(page.locator(".row .time").first).to_have_attribute("title", re.compile("ago|just now"))


def test_times_switch_to_utc(site: Site, open_page: OpenPage, send: Send) -> None:
    page = open_page(site, timezone_id="Asia/Kolkata")
    send("zone", "x")
    open_live(page, "?channel=zone")
    local = texts(page, ".row .time")[0]
    page.get_by_role("button", name="local").click()
    expect(page.locator("#head-time")).to_have_text("Time (UTC)")
    assert texts(page, ".row .time")[0][3:] != local[3:]  # half an hour between them
    page.reload()
    expect(page.locator("#zone")).to_have_text("UTC")


def test_a_payload_is_shown_as_published_and_never_as_html(page: Page, send: Send) -> None:
    send("odd", "<img src=x onerror=alert(1)>", {"<b>": "</span>"}, b"\x00\x01\xff", {"n": 2**63}, "a\nb\x07")
    open_live(page, "?channel=odd")
    rows(page, 5)
    assert page.locator(".row img").count() == 0
    shown = texts(page)[::-1]
    assert shown[0] == "<img src=x onerror=alert(1)>"
    assert shown[1] == '{"<b>": "</span>"}'
    assert shown[2].split() == ["bytes", "00", "01", "ff"]
    assert shown[3] == '{"n": 9223372036854775808}'
    assert shown[4] == "a ↵ b␇"


def test_a_burst_arrives_complete_and_does_not_freeze_the_page(page: Page, send: Send) -> None:
    open_live(page, "?channel=burst")
    page.evaluate("""() => {
        globalThis.worst = 0;
        let last = performance.now();
        const watch = (now) => { worst = Math.max(worst, now - last); last = now; requestAnimationFrame(watch); };
        requestAnimationFrame(watch);
    }""")
    for start in range(0, 5000, 250):
        send("burst", *numbers(start, start + 250))
    expect(page.locator("#foot-shown")).to_have_text("5,000 messages here")
    expect(page.locator(".row").first).to_contain_text('{"n": 4999}')
    top = shown_numbers(page)
    assert len(top) <= 1500  # rows in the document are bounded
    assert top == list(range(4999, 4999 - len(top), -1))
    assert page.evaluate("worst") < 2000
    page.locator("#rows").hover()
    while page.locator(".row").count() < 5000:  # the rest comes as the reader scrolls
        page.mouse.wheel(0, 60_000)
        page.wait_for_function("n => document.querySelectorAll('.row').length > n", arg=len(top))
        top = shown_numbers(page)
    assert top == list(range(4999, -1, -1))


# -- filters ------------------------------------------------------------------------------------------------------


def test_channels_are_chosen_in_the_address(page: Page, send: Send) -> None:
    send("pick.a", "a1")
    send("pick.b", "b1")
    send("pick.c.d", "c1")
    open_live(page, "?channel=pick.*")
    rows(page, 3)
    page.locator("#channels .pick", has_text="pick.b").click()
    expect(page).to_have_url(re.compile(r"\?channel=pick\.b$"))
    rows(page, 1)
    page.locator("#chip-input").fill("pick.c.*")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"\?channel=pick\.b&channel=pick\.c\.\*$"))
    rows(page, 2)
    send("pick.a", "a2")
    send("pick.b", "b2")
    rows(page, 3)
    assert texts(page) == ["b2", "c1", "b1"]
    page.reload()
    rows(page, 3)
    page.go_back()
    expect(page).to_have_url(re.compile(r"\?channel=pick\.b$"))
    rows(page, 2)
    page.get_by_label("Remove pick.b").click()
    expect(page).to_have_url(re.compile(r"/messages/$"))


def test_search_includes_and_excludes_while_it_streams(page: Page, send: Send) -> None:
    send("find", "apple pie", "apple cake", "plum cake", {"user": {"id": 42}})
    open_live(page, "?channel=find")
    rows(page, 4)
    page.keyboard.press("/")
    page.keyboard.type("apple -pie")
    rows(page, 1)
    expect(page.locator("#foot-shown")).to_have_text("1 of 4 messages match")
    send("find", "apple tart", "apple pie again")
    rows(page, 2)
    assert texts(page) == ["apple tart", "apple cake"]
    page.reload()
    expect(page.locator("#search")).to_have_value("apple -pie")
    rows(page, 2)
    page.locator("#search").fill("data.user.id:42")
    rows(page, 1)
    page.locator("#search").fill("nothing like it")
    expect(page.locator("#empty")).to_contain_text("No message matches")
    page.get_by_role("button", name="Clear the search").click()
    rows(page, 6)


def test_a_channel_can_be_muted(page: Page, send: Send) -> None:
    send("mute.beat", "tick")
    send("mute.news", "news")
    open_live(page, "?channel=mute.*")
    rows(page, 2)
    item = page.locator("#channels li", has_text="mute.beat")
    item.hover()
    item.get_by_role("button", name="Mute mute.beat").click()
    rows(page, 1)
    expect(page.locator("#search")).to_have_value("-channel:mute.beat")
    item.hover()
    item.get_by_role("button", name="Show mute.beat again").click()
    rows(page, 2)


def test_a_filter_that_the_server_does_not_take_is_explained(page: Page, console: Console) -> None:
    console.allow("400")
    page.goto("/messages/?channel=" + "x" * 300)
    expect(page.locator("#state-text")).to_have_text("Bad filter")
    expect(page.locator("#empty")).to_contain_text("1 to 255 characters")


# -- pause --------------------------------------------------------------------------------------------------------


def test_pause_keeps_the_view_and_loses_nothing(page: Page, send: Send, screenshot: Shot) -> None:
    send("pause", *numbers(0, 40))
    open_live(page, "?channel=pause")
    rows(page, 40)
    page.locator("#pause").click()
    send("pause", *numbers(40, 77))
    expect(page.locator("#banner-text")).to_have_text("Paused: 37 new")
    expect(page).to_have_title("(37) Live log")
    screenshot(page, "live-paused")
    assert shown_numbers(page) == list(range(39, -1, -1))
    page.locator("#pause").click()
    rows(page, 77)
    assert shown_numbers(page) == list(range(76, -1, -1))
    expect(page.locator("#pause-text")).to_have_text("Pause")


def test_scrolling_away_pauses_and_coming_back_resumes(page: Page, send: Send) -> None:
    send("scroll", *numbers(0, 100))
    open_live(page, "?channel=scroll")
    rows(page, 100)
    page.locator("#rows").hover()
    page.mouse.wheel(0, 400)
    expect(page.locator("#banner-text")).to_contain_text("scrolled away")
    send("scroll", *numbers(100, 110))
    expect(page.locator("#banner-text")).to_contain_text("10 new")
    rows(page, 100)
    page.mouse.wheel(0, -4000)
    rows(page, 110)
    expect(page.locator("#banner")).to_be_hidden()
    assert shown_numbers(page) == list(range(109, -1, -1))


def test_a_long_pause_says_what_it_left_out_and_can_load_it(page: Page, send: Send) -> None:
    send("long", {"n": 0})
    open_live(page, "?channel=long")
    rows(page, 1)
    page.keyboard.press("Space")
    for start in range(1, 10_501, 500):
        send("long", *numbers(start, start + 500))
    expect(page.locator("#banner-text")).to_contain_text("10,500 new · only the newest 10,000 are kept")
    page.keyboard.press("Space")
    page.locator("#rows").hover()
    divider = page.locator(".divider")
    while not divider.count():
        page.mouse.wheel(0, 100_000)
        page.evaluate("() => new Promise(requestAnimationFrame)")
    expect(divider).to_contain_text(re.compile(r"\d+ messages left out"))
    divider.get_by_role("button", name="Load from there").click()
    expect(page.locator(".divider")).to_contain_text("The page is full")
    expect(page.locator("#state")).to_have_attribute("data-state", "stopped")
    expect(page.locator(".row").first).to_contain_text('{"n": 10000}')
    page.get_by_role("button", name="Continue from here").click()
    expect(page.locator("#state")).to_have_attribute("data-state", "live")
    assert shown_numbers(page) == list(range(10_500, 10_000, -1))[: page.locator(".row").count()]


def test_clear_empties_the_view_and_nothing_else(page: Page, send: Send) -> None:
    send("clear", "one", "two")
    open_live(page, "?channel=clear")
    rows(page, 2)
    page.keyboard.press("c")
    expect(page.locator("#empty")).to_contain_text("Nothing was deleted")
    send("clear", "three")
    rows(page, 1)
    page.reload()
    rows(page, 3)


# -- details ------------------------------------------------------------------------------------------------------


def test_details_by_mouse_and_keyboard(page: Page, send: Send, screenshot: Shot) -> None:
    send("detail", {"a": [1, {"b": None}]}, key="k1", headers={"tenant": "acme"}, type="com.example.detail")
    send("detail", *numbers(0, 3))
    open_live(page, "?channel=detail")
    rows(page, 4)
    page.locator(".row").last.click()
    detail = page.locator("#detail")
    expect(detail.locator("pre")).to_have_text('{\n  "a": [\n    1,\n    {\n      "b": null\n    }\n  ]\n}')
    for words in ("com.example.detail", "k1", "acme", "/broker_site", "20 bytes"):
        expect(detail.locator(".facts")).to_contain_text(words)
    screenshot(page, "live-detail")
    detail.get_by_role("tab", name="Raw").click()
    expect(detail.locator("pre")).to_have_text('{"a":[1,{"b":null}]}')
    detail.get_by_role("tab", name="Event").click()
    expect(detail.locator("pre")).to_contain_text('"specversion": "1.0"')
    detail.get_by_role("tab", name="Pretty").click()
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_be_hidden()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(detail.locator("pre")).to_contain_text('"n": 0')
    page.keyboard.press("ArrowUp")
    expect(detail.locator("pre")).to_contain_text('"n": 1')
    page.keyboard.press("j")
    expect(detail.locator("pre")).to_contain_text('"n": 0')


def test_copying_works_without_the_clipboard_api(site: Site, open_page: OpenPage, send: Send) -> None:
    page = open_page(site)
    page.add_init_script(
        "Object.defineProperty(navigator, 'clipboard', {value: undefined})"
    )  # as on plain HTTP
    send("copy", {"it's": "ü"})
    open_live(page, "?channel=copy")
    page.locator(".row").click()
    page.get_by_role("button", name="Copy the payload").click()
    expect(page.locator(".copied")).to_be_visible()
    page.locator("#search").focus()
    page.keyboard.press("Control+V")
    expect(page.locator("#search")).to_have_value('{"it\'s":"ü"}')


def test_a_large_payload_is_cut_and_loaded_on_demand(page: Page, send: Send) -> None:
    send("large", {"rows": ["x" * 100 for _ in range(1000)]})
    open_live(page, "?channel=large")
    row = page.locator(".row")
    expect(row.locator(".cut")).to_contain_text("KiB")
    row.click()
    detail = page.locator("#detail")
    expect(detail.locator(".cut-note")).to_contain_text("The first 8 KiB of")
    assert len(detail.locator("pre").inner_text()) < 9000
    detail.get_by_role("button", name="Load full").click()
    expect(detail.locator(".cut-note")).to_have_count(0)
    assert len(detail.locator("pre").inner_text()) > 100_000


def test_a_message_has_an_address(site: Site, page: Page, send: Send, screenshot: Shot) -> None:
    send("linked", {"n": 1}, {"n": 2, "ü": [True, None, "x"]}, {"n": 3})
    open_live(page, "?channel=linked")
    page.locator(".row").nth(1).click()
    link = page.get_by_role("link", name="Open on a page of its own")
    page.goto(link.get_attribute("href") or "")
    expect(page.locator("h1")).to_have_text("linked")
    expect(page.locator("#pretty")).to_contain_text('"n": 2')
    screenshot(page, "message")
    page.wait_for_function(  # until the listener has stored it, and its neighbours
        "() => location.pathname.match(/^\\/messages\\/\\d+\\/$/) || (setTimeout(() => location.reload(), 100), false)"
    )
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#pretty")).to_contain_text('"n": 1')
    page.keyboard.press("ArrowRight")
    expect(page.locator("#pretty")).to_contain_text('"n": 2')
    with page.expect_download() as download:
        page.get_by_label("Download the payload").click()
    assert download.value.path().read_text() == '{"n":2,"ü":[true,null,"x"]}'


# -- publishing ---------------------------------------------------------------------------------------------------


def test_the_publish_box(page: Page, console: Console, screenshot: Shot) -> None:
    console.allow("400")
    open_live(page, "?channel=box.*")
    page.keyboard.press("p")
    box = page.locator("#publish")
    box.get_by_label("Channel").fill("box one")
    payload = box.get_by_label("Payload")
    payload.fill('{"id": 1,}')
    expect(page.locator("#publish-kind")).to_have_text("Broken JSON")
    box.get_by_role("button", name="Validate").click()
    expect(box.locator("[data-error=data]")).to_contain_text("line 1, column 10")
    box.get_by_role("button", name="Publish").click()
    expect(box.locator("[data-error=channel]")).to_contain_text("'box one'")
    expect(box.locator("[data-error=data]")).to_contain_text("not JSON")
    screenshot(page, "live-publish-errors")
    box.get_by_label("Channel").fill("box.one")
    payload.fill('{"id":12345678901234567890,"x":[1e400]}')
    expect(page.locator("#publish-kind")).to_have_text("JSON")
    box.get_by_role("button", name="Format").click()
    expect(payload).to_have_value('{\n  "id": 12345678901234567890,\n  "x": [\n    1e400\n  ]\n}')
    page.keyboard.press("Control+Enter")
    expect(box.locator("#publish-result")).to_contain_text("Published on box.one")
    expect(page.locator(".row .payload")).to_have_text('{"id": 12345678901234567890, "x": [1e400]}')
    screenshot(page, "live-publish")
    page.reload()
    page.keyboard.press("p")
    expect(box.get_by_label("Channel")).to_have_value("box.one")
    payload.fill("two\nlines")
    expect(page.locator("#publish-kind")).to_have_text("Plain text")
    box.get_by_role("button", name="Publish").click()
    expect(page.locator(".row").first).to_contain_text("two ↵ lines")
    page.locator(".row").last.click()
    page.get_by_role("button", name="Use again").click()
    expect(payload).to_have_value('{"id":12345678901234567890,"x":[1e400]}')


# -- the connection -----------------------------------------------------------------------------------------------

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


def hello(resumed: bool = False) -> str:
    retention = {"entries": 1, "oldest": 1763765275000, "cap": 1000}
    now = 1763765275900
    facts = {
        "position": f"{EPOCH}.0-0",
        "now": now,
        "channels": [],
        "retention": retention,
        "resumed": resumed,
    }
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


def test_a_lost_connection_resumes_where_it_was_and_shows_nothing_twice(page: Page) -> None:
    server = Server(page)
    server.then(hello(), frame(1), frame(2), live(2), frame(3))
    server.then(hello(resumed=True), frame(3), frame(4), live(4), ": beat\nid: e.9-0\n\n")
    page.goto("/messages/")
    rows(page, 4)
    assert shown_numbers(page) == [4, 3, 2, 1]
    expect(page.locator("#state")).to_have_attribute("data-state", re.compile("waiting|connecting"))
    assert [last for _, last in server.asked[:2]] == [None, f"{EPOCH}.1763765275003-0"]
    _until(page, lambda: len(server.asked) >= 3)
    assert server.asked[2][1] == "e.9-0"


def _until(page: Page, condition: Callable[[], bool]) -> None:
    """Lets the browser work until a condition of this side holds."""
    for _ in range(200):
        if condition():
            return
        page.wait_for_timeout(25)
    raise AssertionError("not within 5 s")


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
    order = page.locator("#rows :is(.row, .divider)").evaluate_all(
        "all => all.map((one) => one.classList[0])"
    )
    assert order == ["row", "divider", "row"]
    expect(page.locator(".divider")).to_contain_text(words)


def test_what_was_missed_can_be_loaded_from_the_gap(page: Page, screenshot: Shot) -> None:
    server = Server(page)
    gap = named("gap", to=f"{EPOCH}.9-0", reason="overrun", missed=7, **{"from": f"{EPOCH}.1763765275001-0"})
    server.then(hello(), frame(1), gap, frame(9), live(9))
    page.goto("/messages/")
    rows(page, 2)
    screenshot(page, "live-gap")
    page.get_by_role("button", name="Load from there").click()
    _until(page, lambda: server.asked[-1][1] == f"{EPOCH}.1763765275001-0")


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


# -- the page itself ----------------------------------------------------------------------------------------------


def test_an_empty_log_teaches(fresh_site: Site, open_page: OpenPage, screenshot: Shot) -> None:
    page = open_page(fresh_site, color_scheme="dark")
    open_live(page)
    expect(page.locator("#empty")).to_contain_text("Nothing has been published yet")
    assert page.locator("#empty .try").count() == 3
    screenshot(page, "live-empty")
    with fresh_site.client() as client:
        client.post("/messages/publish/", data={"channel": "first", "data": "hello"}).raise_for_status()
    rows(page, 1)
    expect(page.locator("#empty")).to_be_hidden()
    expect(page.locator("#foot-kept")).to_contain_text("oldest")


def test_signing_in_leads_to_the_page_and_out_again(
    site: Site, open_page: OpenPage, screenshot: Shot
) -> None:
    page = open_page(site, login=False)
    page.goto("/messages/?q=kept")
    screenshot(page, "login")
    page.get_by_label("User name").fill(ADMIN)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(r"/messages/\?q=kept$"))
    expect(page.locator("#state")).to_have_attribute("data-state", "live")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/accounts/login/"))


def test_the_theme_is_the_admins(page: Page) -> None:
    open_live(page)
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("localStorage.theme") == "dark"
    assert page.evaluate(background) != light
    page.goto("/admin/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_every_colour_can_be_read(site: Site, open_page: OpenPage, send: Send) -> None:
    send("contrast", {"key": ["text", 1, None]})
    send("contrast", "late", time=LATE)
    for scheme in ("light", "dark"):
        page = open_page(site, color_scheme=scheme)
        open_live(page, "?channel=contrast")
        rows(page, 2)
        poor = page.evaluate(CONTRAST)
        assert not poor, f"{scheme}: {poor}"


# The contrast ratio of WCAG 2.2 between each text's colour and what lies behind it, where it is below 4.5.
CONTRAST = """() => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
    const paint = (under, colour) => {
        for (canvas.fillStyle of [under, colour]) canvas.fillRect(0, 0, 1, 1);
        return `rgb(${canvas.getImageData(0, 0, 1, 1).data.slice(0, 3).join(" ")})`;
    };
    const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const light = (colour) => {
        const [r, g, b] = colour.match(/[\\d.]+/g).map((n) => linear(n / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => element
        ? paint(behind(element.parentElement), getComputedStyle(element).backgroundColor) : "white";
    const poor = [];
    const look = (element, what) => {
        const back = behind(element);
        const [high, low] = [light(back), light(paint(back, getComputedStyle(element).color))].sort((a, b) => b - a);
        const ratio = (high + 0.05) / (low + 0.05);
        if (ratio < 4.5) poor.push(`${what}: ${ratio.toFixed(2)}`);
    };
    for (const selector of ["body *", ".row.selected *"]) {
        for (const element of document.querySelectorAll(selector)) {
            const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
            if (own && element.checkVisibility() && !element.disabled)
                look(element, `${element.className || element.tagName} ${element.textContent.slice(0, 20)}`);
        }
        for (const row of document.querySelectorAll(".row")) row.className = "row selected";
    }
    const name = document.querySelector(".row .channel");
    for (const state of ["row", "row selected"]) {
        name.parentElement.className = state;
        for (let n = 0; n < 12; n++) { name.className = `channel hue-${n}`; look(name, `${state}, hue ${n}`); }
    }
    return poor;
}"""


def test_help_names_the_keys(page: Page, screenshot: Shot) -> None:
    open_live(page)
    page.get_by_role("button", name="Help").click()
    expect(page.locator("#help")).to_contain_text("pause, resume")
    screenshot(page, "live-help")
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()


def test_on_a_phone(site: Site, open_page: OpenPage, send: Send, screenshot: Shot) -> None:
    send("phone.orders", *({"id": n, "customer": "Ada Lovelace", "total": 12.5} for n in range(30)))
    for scheme in ("light", "dark"):
        page = open_page(
            site, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, color_scheme=scheme
        )
        open_live(page, "?channel=phone.*")
        rows(page, 30)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        screenshot(page, f"phone-{scheme}")
        page.locator(".row").first.tap()
        expect(page.locator("#detail")).to_be_visible()
        screenshot(page, f"phone-detail-{scheme}")
        page.get_by_role("button", name=re.compile("^Close")).tap()
        page.locator("#side-open").tap()
        expect(page.locator("#side")).to_be_in_viewport()
        screenshot(page, f"phone-channels-{scheme}")


def test_without_javascript_it_says_so(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, java_script_enabled=False)
    page.goto("/messages/")
    expect(page.locator("noscript p")).to_be_visible()


def test_a_busy_page_in_both_themes(site: Site, open_page: OpenPage, send: Send, screenshot: Shot) -> None:
    for n in range(60):
        send(
            ("orders.created", "orders.paid", "users.login", "updates")[n % 4],
            {"id": n, "total": n * 1.5, "ok": True},
        )
    send("orders.paid", {"id": 60}, time=LATE)
    for scheme in ("light", "dark"):
        page = open_page(site, color_scheme=scheme, viewport={"width": 1440, "height": 900})
        open_live(page)
        expect(page.locator("#rate-chart canvas")).to_be_visible()
        expect(page.locator("#channels .pick", has_text="updates")).to_be_visible()
        screenshot(page, f"live-{scheme}")
