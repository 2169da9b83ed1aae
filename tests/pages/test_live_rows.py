"""Rows of the live page: what arrives, how it looks, what is filtered."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser import Console
from tests.conftest import OpenPage
from tests.pages.live import LATE, Send, numbers, open_live, rows, shown_numbers, texts
from tests.sites import Site

pytestmark = [pytest.mark.browser, pytest.mark.once]  # the browser's side, not Python's


# -- what comes ---------------------------------------------------------------------------------------------------


def test_history_first_then_what_is_published_newest_on_top(page: Page, send: Send) -> None:
    send("flow.one", *numbers(0, 5))
    open_live(page, "?channel=flow.*")
    rows(page, 5)
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
    rows(page, 1)
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
    wrap = page.locator("#wrap")
    for start in range(0, 5000, 250):
        send("burst", *numbers(start, start + 250))
        if start % 1000 == 0:  # the page answers to a click meanwhile
            pressed = wrap.get_attribute("aria-pressed") == "true"
            wrap.click()
            expect(wrap).to_have_attribute("aria-pressed", str(not pressed).lower())
            assert page.locator(".row").count() <= 1500  # rows in the document are bounded
    wrap.click()
    expect(wrap).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#foot-shown")).to_have_text("5,000 messages here")
    expect(page.locator(".row").first).to_contain_text('{"n": 4999}')
    top = shown_numbers(page)
    assert len(top) <= 1500
    assert top == list(range(4999, 4999 - len(top), -1))
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


def test_channels_without_a_message_on_the_page_are_heard_all_the_same(page: Page, send: Send) -> None:
    send("silent.one", "earlier")
    send("silent.two", "newest")
    open_live(page, "?last=1")
    url = page.locator("#console").get_attribute("data-channels")
    page.wait_for_function(  # until the listener has stored them: the server knows their names from then on
        "async url => (await (await fetch(url)).text()).includes('silent.one')", arg=url
    )
    open_live(page, "?last=1")
    one = page.locator("#channels li", has_text="silent.one")
    expect(one.locator(".speed")).to_have_text("0")
    expect(one).not_to_have_class(re.compile("unheard"))
    expect(one.locator(".pick")).to_have_attribute(
        "title", re.compile("none among the messages on this page")
    )
    page.locator("#channels .pick", has_text="silent.two").click()
    expect(one).to_have_class(re.compile("unheard"))
    expect(one.locator(".speed")).to_have_text("")
    expect(one.locator(".pick")).to_have_attribute("title", re.compile("not among what this page hears"))


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
    muted = item.get_by_role("button", name="Mute mute.beat", pressed=True)
    expect(muted).to_have_attribute("title", "Show mute.beat again")
    muted.click()
    rows(page, 2)


def test_a_channel_can_be_muted_by_keyboard(page: Page, send: Send) -> None:
    send("keyed.beat", "tick")
    send("keyed.news", "news")
    open_live(page, "?channel=keyed.*")
    rows(page, 2)
    item = page.locator("#channels li", has_text="keyed.beat")
    mute = item.locator(".mute")
    expect(mute).to_have_css("opacity", "0")
    item.locator(".pick").focus()
    expect(mute).to_have_css("opacity", "1")
    page.keyboard.press("Tab")
    expect(mute).to_be_focused()
    open_eye, crossed_out = mute.locator(".icon").all()
    expect(open_eye).to_be_visible()
    expect(crossed_out).to_be_hidden()
    page.keyboard.press("Space")
    rows(page, 1)
    expect(mute).to_have_attribute("aria-pressed", "true")
    expect(open_eye).to_be_hidden()
    expect(crossed_out).to_be_visible()
    page.keyboard.press("Space")
    rows(page, 2)


def test_a_filter_that_the_server_does_not_take_is_explained(page: Page, console: Console) -> None:
    console.allow("400")
    page.goto("/messages/?channel=" + "x" * 300)
    expect(page.locator("#state-text")).to_have_text("Bad filter")
    expect(page.locator("#empty")).to_contain_text("1 to 255 characters")
