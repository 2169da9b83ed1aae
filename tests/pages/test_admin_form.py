"""The admin in a real browser, on the real site: post a message, watch it being stored, copy and send it again."""

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import OpenPage
from tests.sites import Site

pytestmark = pytest.mark.browser

ADD = "/admin/messaging/message/add/"
LIST = "/admin/messaging/message/"


def write(page: Page, channel: str, payload: str) -> None:
    page.goto(ADD)
    page.get_by_label("Channel").fill(channel)
    page.get_by_label("Payload").fill(payload)


def post(page: Page, channel: str, payload: str) -> None:
    """Posts it and waits until its page says that it is stored."""
    write(page, channel, payload)
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator("#state")).to_have_attribute("data-state", re.compile("stored|late"))


@contextmanager
def no_listener(site: Site) -> Iterator[None]:
    """The listener holds its breath."""
    site.listener.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        site.listener.signal(signal.SIGCONT)


def test_a_posted_message_is_pending_and_then_stored_without_a_reload(page: Page, site: Site) -> None:
    with no_listener(site):
        write(page, "form.watch", '{"id": 1}')
        page.get_by_role("button", name="Publish", exact=True).click()
        expect(page.locator("#state")).to_have_attribute("data-state", "pending")
        state = page.locator("#state").get_by_role("status")
        expect(state).to_contain_text("waits for the listener")
        expect(page.locator("#fact-position")).to_have_text("…")
        expect(page.get_by_role("button", name="Copy Position")).to_be_hidden()
        page.evaluate("window.mark = 'the same page'")
    expect(page.locator("#state")).to_have_attribute("data-state", re.compile("stored|late"))
    expect(state).to_contain_text(re.compile(r"Stored .+ after it was published"))
    expect(page.locator("#fact-position")).to_have_text(re.compile(r"0\.\d{13}-\d+"))
    expect(page.locator("[data-note=stored]")).to_have_text(re.compile(r"\+\d"))
    expect(page.get_by_role("button", name="Copy Position")).to_be_visible()
    assert page.evaluate("window.mark") == "the same page"
    page.get_by_role("link", name="Back to the list").click()
    expect(page.locator("#result_list tr", has_text="form.watch")).to_contain_text(re.compile("stored|late"))


def test_it_works_without_scripts(open_page: OpenPage, site: Site) -> None:
    page = open_page(site, java_script_enabled=False)
    post_button = page.get_by_role("button", name="Publish", exact=True)
    write(page, "form.plain", '{"id": 2, "tags": ["a"]}')
    post_button.click()
    for _ in range(100):
        if page.locator("#state").get_attribute("data-state") != "pending":
            break
        page.reload()
    expect(page.locator("#state")).not_to_have_attribute("data-state", "pending")
    expect(page.locator(".mb-pretty")).to_be_visible()
    page.get_by_text("Raw", exact=True).click()
    expect(page.locator(".mb-raw")).to_have_text('{"id":2,"tags":["a"]}')
    expect(page.locator(".mb-pretty")).to_be_hidden()
    expect(page.get_by_role("button", name="Copy", exact=True)).to_have_count(0)


def test_validate_format_and_send_as_text(page: Page) -> None:
    write(page, "form.check", '{"a": 1,\n "b": [1,,2]}')
    kind, said = page.locator(".mb-kind"), page.locator(".mb-said")
    expect(kind).to_have_text("Not JSON")
    page.get_by_role("button", name="Validate").click()
    expect(said).to_contain_text("at line 2, column 10")
    payload = page.get_by_label("Payload")
    assert payload.evaluate("area => area.value.slice(area.selectionStart, area.selectionEnd)") == ","
    payload.fill('{"big":12345678901234567890,"x":1e400,"a":[]}')
    page.get_by_role("button", name="Format").click()
    expect(payload).to_have_value('{\n  "big": 12345678901234567890,\n  "x": 1e400,\n  "a": []\n}')
    expect(kind).to_have_text("JSON")
    payload.fill("[just text")
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator(".errorlist")).to_contain_text("begins like JSON but is not")
    expect(payload).to_be_focused()
    page.get_by_role("button", name="Send it as text").click()
    expect(page.locator(".mb-pretty")).to_have_text("[just text")


def test_channels_are_suggested_and_the_last_one_is_kept(page: Page) -> None:
    post(page, "form.suggested", "1")
    page.goto(ADD)
    expect(page.get_by_label("Channel")).to_have_value("form.suggested")
    expect(page.get_by_label("Payload")).to_be_focused()
    options = page.locator("#channel-names option").evaluate_all("all => all.map((each) => each.value)")
    assert "form.suggested" in options


def test_copying_works_on_plain_http_too(open_page: OpenPage, site: Site) -> None:
    page = open_page(site)
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    post(page, "form.copy", '{"id": "it\'s"}')
    page.locator("summary", has_text="manage.py").click()
    button = page.get_by_role("button", name="Copy as manage.py")
    button.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    page.goto(LIST)
    page.get_by_role("searchbox", name="Search", exact=True).focus()
    page.keyboard.press("Control+V")
    pasted = page.get_by_role("searchbox", name="Search", exact=True).input_value()
    assert pasted == """python manage.py publish form.copy '{"id":"it'"'"'s"}'"""


def test_publish_again_after_a_question(page: Page) -> None:
    post(page, "form.again", '{"n": 1}')
    page.get_by_role("link", name="Publish again").click()
    page.get_by_role("button", name="Publish it again").click()
    expect(page.locator("#state")).to_have_attribute("data-state", re.compile("stored|late"))
    expect(page.locator("#fact-causation")).to_be_visible()
    page.goto(f"{LIST}?channel=form.again")
    expect(page.locator("#result_list tbody tr")).to_have_count(2)


def test_nothing_in_a_payload_is_ever_run(page: Page) -> None:
    page.on("dialog", lambda dialog: pytest.fail(f"a script of the payload ran: {dialog.message}"))
    evil = '</script><script>alert(1)</script><img src=x onerror=alert(2)>" onmouseover="alert(3)'
    post(page, "form.evil", evil)
    expect(page.locator(".mb-pretty")).to_have_text(evil)
    page.goto(f"{LIST}?channel=form.evil")
    expect(page.locator("#result_list .mb-preview")).to_contain_text("<script>alert(1)")
    page.get_by_role("row").nth(1).hover()
    assert page.locator("#content img").count() == 0


SHOTS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}


@pytest.mark.once
@pytest.mark.parametrize("look", SHOTS)
def test_pictures_to_be_looked_at(
    open_page: OpenPage, site: Site, screenshot: Callable[..., Any], look: str
) -> None:
    page = open_page(site, **SHOTS[look])
    post(
        page, "orders.created", '{"id": 17, "customer": {"name": "Ada"}, "items": [{"sku": "A-1", "qty": 2}]}'
    )
    screenshot(page, f"admin-message-{look}")
    page.goto(LIST)
    screenshot(page, f"admin-list-{look}")
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0
    page.goto(ADD)
    screenshot(page, f"admin-form-{look}")
    for url in (LIST, ADD):
        page.goto(url)
        fields = page.locator("#content :is(input:not([type=hidden], [type=submit]), select, textarea)")
        unnamed = "all => all.filter((f) => !f.labels.length && !f.ariaLabel).map((f) => f.outerHTML)"
        assert fields.evaluate_all(unnamed) == []
