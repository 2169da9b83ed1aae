"""Finding things on the live page: a moment, a message in its context, saved filters, the difference, the export."""

import json
import re
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import OpenPage
from tests.pages.live import Send, Shot, numbers, open_live, rows, shown_numbers
from tests.sites import Site

pytestmark = [pytest.mark.browser, pytest.mark.once]  # the browser's side, not Python's


def marked(page: Page) -> str:
    expect(page.locator(".row.marked")).to_be_in_viewport()
    return page.locator(".row.marked .payload").inner_text()


def settled(page: Page) -> None:
    """Returns when the list has stood still for ten frames."""
    page.evaluate("""async () => {
        const list = document.querySelector("#rows");
        for (let still = 0, last = null; still < 10; last = list.scrollTop) {
            await new Promise(requestAnimationFrame);
            still = list.scrollTop === last ? still + 1 : 0;
        }
    }""")


def test_a_message_in_its_context_and_back_to_live(page: Page, send: Send, screenshot: Shot) -> None:
    for n in range(6):
        send("context.noise", *numbers(100 * n, 100 * n + 100))
        send("context.needle", f"needle {n}")
    open_live(page, "?channel=context.needle&q=needle")
    rows(page, 6)
    page.locator(".row", has_text="needle 2").click()
    page.get_by_role("button", name="In context").click()
    expect(page).to_have_url(re.compile(r"/messages/\?around=0\.\d+-\d+$"))
    assert marked(page) == "needle 2"
    screenshot(page, "live-context")
    expect(page.locator("#banner-text")).to_contain_text("the marked message")
    above = page.locator(".row.marked").evaluate("row => row.previousElementSibling?.record.raw")
    assert above == '{"n":300}'
    send("context.noise", {"n": 1000})
    expect(page.locator("#banner-text")).to_contain_text("1 new")
    page.reload()
    assert marked(page) == "needle 2"
    page.get_by_role("button", name="To the newest").click()
    expect(page.locator(".row").first).to_contain_text('{"n": 1000}')
    expect(page).to_have_url(re.compile(r"/messages/$"))
    page.go_back()
    expect(page).to_have_url(re.compile("needle"))


def test_a_permanent_link_opens_with_its_message_in_the_middle(page: Page, send: Send) -> None:
    page.set_viewport_size(
        {"width": 1440, "height": 900}
    )  # the half-full block above is near, yet out of sight
    send("centred", *numbers(0, 144))
    open_live(page, "?channel=centred")
    rows(page, 144)
    at = page.locator(".row", has_text='{"n": 49}').evaluate("row => row.record.at")
    for wrap in ("false", "true"):
        open_live(page, f"?channel=centred&around={at}")
        expect(page.locator("#wrap")).to_have_attribute("aria-pressed", wrap)
        expect(page.locator(".row.marked")).to_have_count(1)
        settled(page)
        assert marked(page) == '{"n": 49}'
        page.keyboard.press("w")  # the next round


def test_a_jump_to_a_time(page: Page, send: Send, screenshot: Shot) -> None:
    send("jump", *numbers(0, 100))
    open_live(page, "?channel=jump&last=10")
    rows(page, 10)
    page.keyboard.press("f")
    field = page.get_by_label("Time to jump to")
    field.fill("whenever")
    expect(page.locator("#jump-said")).to_contain_text("Such as")
    field.fill("10 min ago")
    expect(page.locator("#jump-said")).to_contain_text(str(datetime.now(UTC).year))
    screenshot(page, "live-jump")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("from="))
    assert marked(page) == '{"n": 0}'
    expect(page.locator("#foot-shown")).to_have_text("100 messages here")
    page.keyboard.press("g")
    expect(page.locator("#banner")).to_be_hidden()
    assert shown_numbers(page) == list(range(99, -1, -1))


def test_more_is_offered_only_where_it_brings_more(page: Page, send: Send) -> None:
    send("more", *numbers(0, 30))
    load = page.get_by_role("button", name="Load the last 1,000 messages")
    open_live(page, "?channel=more&last=10")
    rows(page, 10)
    load.click()
    rows(page, 30)
    expect(page).to_have_url(re.compile("last=1000"))
    expect(load).to_have_count(0)
    open_live(page, "?channel=more&last=31")
    rows(page, 30)
    expect(load).to_have_count(0)  # these are all
    at = page.locator(".row").first.evaluate("row => row.record.at")
    open_live(page, f"?channel=more&last=10&around={at}")
    assert marked(page) == '{"n": 29}'
    expect(page.locator(".rows-end")).to_contain_text("Older ones: stored messages")
    expect(load).to_have_count(0)
    open_live(page, "?channel=more&last=10")
    for start in range(0, 1000, 250):
        send("more", *numbers(start, start + 250))
    expect(page.locator("#foot-shown")).to_have_text("1,010 messages here")
    expect(load).to_have_count(0)
    page.locator("#rows").hover()
    end = page.locator(".rows-end")
    while "stored messages" not in (end.text_content() or ""):
        assert load.count() == 0
        page.mouse.wheel(0, 60_000)
        page.evaluate("() => new Promise(requestAnimationFrame)")


def test_a_search_without_a_hit_leads_on(
    site: Site, open_page: OpenPage, send: Send, screenshot: Shot
) -> None:
    send("hay", "a needle", *numbers(0, 30))
    page = open_page(site)
    open_live(page, "?channel=hay&q=needle&last=20")
    empty = page.locator("#empty")
    expect(empty).to_contain_text("No message matches")
    screenshot(page, "live-no-hit")
    stored = empty.get_by_role("link", name="Search the stored messages")
    expect(stored).to_have_attribute("href", re.compile(r"/admin/messaging/message/\?q=needle&channel=hay$"))
    page.locator("#search").fill("Needle -x data.n:7")
    expect(stored).to_have_attribute("href", re.compile(r"\?q=Needle&channel=hay$"))
    page.locator("#search").fill("needle")
    empty.get_by_role("button", name="Search the last 1,000").click()
    rows(page, 1)
    expect(page).to_have_url(re.compile(r"\?channel=hay&q=needle&last=1000$"))
    page.locator("#search").fill("not there at all")
    expect(empty).to_contain_text("No message matches")
    expect(empty.get_by_role("button", name="Search the last 1,000")).to_have_count(0)


HITS = "[...CSS.highlights.get('hit')].map(hit => { const range = new Range(); \
    range.setStart(hit.startContainer, hit.startOffset); range.setEnd(hit.endContainer, hit.endOffset); \
    return range.toString(); })"


def test_what_was_found_is_marked_in_the_rows_in_sight(page: Page, send: Send, screenshot: Shot) -> None:
    send("marks.found", *({"id": n, "what": "Found"} for n in range(200)))
    open_live(page, "?channel=marks.*&q=found")
    rows(page, 200)
    hits = page.evaluate(HITS)
    assert set(hits) == {"found", "Found"}  # in the channel's name, and in the payload
    assert 20 < len(hits) < 60
    screenshot(page, "live-hits")
    page.locator("#search").fill('"id: 7" -x')
    expect(page.locator("#empty")).to_be_visible()
    page.locator("#search").fill('d":7')  # as it was published; what is shown has a space there
    rows(page, 11)
    assert page.evaluate(HITS) == []
    page.locator("#search").fill("7")
    expect(page.locator(".row .payload").first).to_contain_text("197")
    assert page.evaluate(HITS)[:2] == ["7", "7"]
    page.locator("#rows").hover()
    page.mouse.wheel(0, 500)
    page.wait_for_function(  # the marks go along
        "() => { const node = [...CSS.highlights.get('hit')].at(-1).startContainer.parentElement;"
        " return node.closest('.row').record.raw.includes(':7,'); }"
    )
    page.locator("#search").fill("")
    rows(page, 200)
    assert page.evaluate(HITS) == []


def test_filters_can_be_saved(page: Page, send: Send, screenshot: Shot) -> None:
    send("saved.a", "apple")
    send("saved.b", "bee")
    open_live(page, "?channel=saved.*&q=-bee")
    page.keyboard.press("s")
    expect(page.locator("#saved-none")).to_be_visible()
    page.get_by_label("Name for these filters").fill("No bees")
    page.keyboard.press("Enter")
    expect(page.locator("#saved-list")).to_contain_text("No bees")
    screenshot(page, "live-saved")
    page.goto("/messages/?channel=saved.b")
    rows(page, 1)
    page.get_by_role("button", name="Saved filters").click()
    page.locator("#saved-list .pick").click()
    expect(page).to_have_url(re.compile(r"channel=saved\.\*&q=-bee$"))
    expect(page.locator(".row .payload")).to_have_text("apple")
    page.keyboard.press("s")
    page.get_by_label("Forget No bees").click()
    expect(page.locator("#saved-list li")).to_have_count(0)


def test_the_export_is_what_the_filters_let_through(page: Page, send: Send) -> None:
    send("export", *numbers(0, 300), "text")
    open_live(page, "?channel=export&q=-text&last=10")
    page.keyboard.press("e")
    with page.expect_download() as download:
        page.get_by_role("link", name="NDJSON").click()
    lines = [json.loads(line) for line in download.value.path().read_text().splitlines()]
    assert [line["event"]["data"]["n"] for line in lines] == list(range(299, -1, -1))


def test_the_difference_to_the_message_before(page: Page, send: Send, screenshot: Shot) -> None:
    send("diff", {"id": 1, "state": "new", "total": 5}, key="1")
    send("diff", {"id": 2}, key="2")
    send("diff", {"id": 1, "state": "paid", "total": 5}, key="1")
    open_live(page, "?channel=diff")
    page.locator(".row").first.click()
    page.get_by_role("tab", name="Diff").click()
    expect(page.locator(".diff .minus")).to_contain_text('"state": "new"')
    expect(page.locator(".diff .plus")).to_contain_text('"state": "paid"')
    expect(page.locator(".diff .same")).to_have_count(4)
    screenshot(page, "live-diff")
    page.keyboard.press("j")
    expect(page.locator(".diff .minus")).not_to_have_count(0)
    page.keyboard.press("j")
    expect(page.locator("#detail-body")).to_contain_text("no earlier message")


def test_fields_as_columns(page: Page, send: Send, screenshot: Shot) -> None:
    big = 12345678901234567890
    send("fields", {"user": {"id": big, "name": "Ann"}, "tags": ["new", 2]}, "text", key="k1")
    open_live(page, "?channel=fields")
    rows(page, 2)
    page.keyboard.press("d")
    box = page.locator("#columns")
    box.get_by_label("data.user.id").check()
    box.get_by_label("key").check()
    box.get_by_label("Another field").fill("data.tags.0")
    page.keyboard.press("Enter")
    box.get_by_label("Another field").fill("not a place")
    page.keyboard.press("Enter")
    expect(page.locator("#columns-said")).to_contain_text("Such as data.user.id")
    screenshot(page, "live-columns")
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"\?channel=fields&col=data\.user\.id&col=key&col=data\.tags\.0$"))
    expect(page.locator(".log-head .cell")).to_have_text(["user.id", "key", "tags.0"])
    expect(page.locator(".row .cell")).to_have_text(["", "k1", "", str(big), "k1", "new"])
    page.reload()  # they live in the address, as filters do, and in what is saved
    rows(page, 2)
    expect(page.locator(".row .cell")).to_have_text(["", "k1", "", str(big), "k1", "new"])
    send("fields", {"user": {"id": None}})
    rows(page, 3)
    expect(page.locator(".row .cell").first).to_have_text("null")


def test_the_search_suggests_fields(page: Page, send: Send) -> None:
    send("hints", {"user": {"id": 42, "name": "Ann"}}, {"user": {"id": 7}, "odd:name": 1})
    open_live(page, "?channel=hints")
    rows(page, 2)
    field = page.locator("#search")
    field.fill("Ann -us")
    hints = page.locator("#search-paths option")
    expect(hints).to_have_count(2)
    assert hints.evaluate_all("all => all.map((each) => each.value)") == [
        "Ann -data.user.id:",
        "Ann -data.user.name:",
    ]
    field.fill("data.user.id:")
    expect(hints).to_have_count(0)
    field.fill("data.user.id:42")
    rows(page, 1)
