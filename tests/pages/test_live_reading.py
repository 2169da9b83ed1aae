"""Reading on the live page: pause, scroll, details, the page of one message, publishing."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser import Console
from tests.conftest import OpenPage
from tests.pages.live import Send, Shot, numbers, open_live, rows, shown_numbers
from tests.sites import Site

pytestmark = [pytest.mark.browser, pytest.mark.once]  # the browser's side, not Python's


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


def test_the_bar_of_a_pause_covers_nothing_and_moves_nothing(
    site: Site, open_page: OpenPage, send: Send, screenshot: Shot
) -> None:
    send("bar", *numbers(0, 100))
    where = """() => { const box = (id) => document.querySelector(id).getBoundingClientRect().toJSON();
        const row = [...document.querySelectorAll(".row")].find((row) => row.record.raw === '{"n":80}');
        return [row.getBoundingClientRect().top, box("#banner"), box("#rows")]; }"""
    for width, height in ((1280, 800), (390, 844)):
        page = open_page(site, viewport={"width": width, "height": height})
        open_live(page, "?channel=bar")
        rows(page, 100)
        page.locator("#rows").hover()
        before = page.evaluate(where)[0]
        page.mouse.wheel(0, 200)
        expect(page.locator("#banner")).to_be_visible()
        row, banner, list_ = page.evaluate(where)
        assert row == before - 200
        assert banner["bottom"] == list_["top"]
        assert banner["height"] < 40
        screenshot(page, f"live-paused-bar-{width}")
        page.locator("#banner-resume").click()
        page.locator("#pause").click()  # at the newest end that stays in sight
        expect(page.locator("#banner")).to_be_visible()
        first = page.locator(".row").first.bounding_box()
        assert first
        assert first["y"] >= page.evaluate(where)[2]["top"]


def test_a_change_of_view_keeps_the_place(page: Page, send: Send) -> None:
    send("place", *numbers(0, 400))
    open_live(page, "?channel=place")
    page.locator("#rows").hover()
    page.mouse.wheel(0, 3900)
    expect(page.locator("#banner-text")).to_contain_text("scrolled away")
    topmost = """() => { const {left, top} = document.querySelector("#rows").getBoundingClientRect();
        return document.elementFromPoint(left + 200, top + 13).closest(".row").record.raw; }"""
    before = page.evaluate(topmost)
    assert before == '{"n":248}'  # 150 rows up there, and one that the bar has pushed away
    for key, done in (("w", "#wrap[aria-pressed=true]"), ("u", "#zone:text('UTC')")):
        page.keyboard.press(key)
        expect(page.locator(done)).to_be_visible()
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert page.evaluate(topmost) == before
    expect(page.locator("#banner")).to_be_visible()


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
    expect(page.locator(".row").first).to_contain_text('{"n": 10500}')
    shown = shown_numbers(page)
    assert shown == list(range(10_500, 10_500 - len(shown), -1))


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
    expect(detail.locator(".facts")).to_contain_text("as message")
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
    for key, shown in (("ArrowLeft", '"n": 1'), ("ArrowRight", '"n": 2')):
        page.wait_for_load_state()  # the text is there before the script that hears the keys
        page.keyboard.press(key)
        expect(page.locator("#pretty")).to_contain_text(shown)
    with page.expect_download() as download:
        page.get_by_label("Download the payload").click()
    assert download.value.path().read_text() == '{"n":2,"ü":[true,null,"x"]}'


# -- focus --------------------------------------------------------------------------------------------------------


def test_the_publish_box_takes_the_focus_and_gives_it_back(page: Page, send: Send) -> None:
    send("focus", "kept")
    open_live(page, "?channel=focus")
    rows(page, 1)
    channel = page.locator("#publish-channel")
    page.keyboard.press("p")
    expect(channel).to_be_focused()
    page.keyboard.type("cups")  # keys that do something elsewhere
    expect(channel).to_have_value("cups")
    page.keyboard.press("Tab")
    expect(page.locator("#publish-data")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_be_hidden()
    expect(page.locator(".row")).to_be_focused()  # nothing had it: the list does
    page.locator("#publish-open").click()
    expect(page.locator("#publish-data")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#publish-open")).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.get_by_role("tab", name="Raw").click()
    page.keyboard.press("Escape")
    expect(page.locator(".row")).to_be_focused()
    rows(page, 1)


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
