"""The look of the live page: themes, contrast, phone, empty, without JavaScript; pictures to look at."""

import re
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.browser import Console
from tests.conftest import OpenPage
from tests.pages.live import LATE, Send, Shot, next_second, open_live, rows
from tests.sites import ADMIN, PASSWORD, Site

pytestmark = [pytest.mark.browser, pytest.mark.once]  # the browser's side, not Python's


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


def test_a_long_command_can_be_read_beside_its_copy_button(fresh_site: Site, open_page: OpenPage) -> None:
    page = open_page(fresh_site, viewport={"width": 390, "height": 844})
    open_live(page)
    for each in page.locator("#empty .try").all():
        text, button = (each.locator(what).bounding_box() for what in ("pre", "button"))
        assert text
        assert button
        assert button["y"] + button["height"] <= text["y"]


def test_a_channels_name_has_the_place_that_no_sparkline_needs(page: Page, send: Send) -> None:
    name = "a.channel.with.quite.a.long.name"
    send(name, *({"n": n} for n in range(10)))
    open_live(page, f"?channel={name}&last=5")
    line = page.locator("#channels li", has_text=name)
    expect(line.locator("canvas")).to_be_hidden()
    width = "name => name.clientWidth"
    before = line.locator(".name").evaluate(width)
    assert before > 150
    next_second(page)  # of the one before it knows only that it does not know everything
    send(name, *({"n": n} for n in range(10)))
    expect(line.locator("canvas")).to_be_visible()
    assert line.locator(".name").evaluate(width) < before


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


def test_with_the_systems_colours_states_can_still_be_seen(
    site: Site, open_page: OpenPage, send: Send, screenshot: Shot
) -> None:
    send("forced", {"n": 1}, {"n": 2})
    page = open_page(site, forced_colors="active", viewport={"width": 1440, "height": 900})
    open_live(page, "?channel=forced")
    rows(page, 2)
    page.locator(".row").first.click()
    page.locator("#wrap").click()
    page.locator("#search").focus()

    def style(selector: str, name: str, pseudo: str | None = None) -> str:
        found = page.locator(selector).first.evaluate(
            "(element, [name, pseudo]) => getComputedStyle(element, pseudo)[name]", [name, pseudo]
        )
        return str(found)

    canvas = style("body", "backgroundColor")
    for chosen in (
        ".row.selected",
        "[role=tab][aria-selected=true]",
        "#wrap",
        ".nav [aria-current]",
        "li .pick",
    ):
        assert style(chosen, "outlineStyle") == "solid", chosen
    for other in (
        ".row:not(.selected)",
        "[role=tab][aria-selected=false]",
        "#clear",
        ".nav a:last-child",
        "#order",
    ):
        assert style(other, "outlineStyle") == "none", other
    assert style("[role=tab][aria-selected=false]", "borderBottomColor") == canvas
    assert style(".row:not(.selected)", "borderLeftColor") == canvas
    assert style(".row.selected", "borderLeftColor") != canvas
    for background in (
        style(".state .dot", "backgroundColor"),
        style("li .pick", "backgroundColor", "::before"),
    ):
        assert background not in (canvas, "rgba(0, 0, 0, 0)")
    screenshot(page, "live-forced-colors")
    page.locator("#order").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert style("#order", "outlineStyle") == "double"


def test_a_chart_of_the_admin_keeps_its_colours(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, forced_colors="active")
    page.goto("/admin/")
    page.add_style_tag(url="/static/messaging/admin/queues.css")
    swatch = page.evaluate("""() => {
        const key = document.createElement("span");
        key.className = "mb-key mb-line-1";
        document.body.append(key);
        return getComputedStyle(key, "::before").backgroundColor;
    }""")
    assert swatch == "rgb(178, 91, 0)"


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


@pytest.mark.parametrize("width", [1440, 1181, 1024, 861, 720, 390, 320])
def test_at_any_width_the_search_can_be_read_and_nothing_is_covered(
    site: Site, open_page: OpenPage, send: Send, screenshot: Shot, width: int
) -> None:
    send(f"width.{width}", {"id": 1, "customer": "Ada Lovelace"})
    page = open_page(site, viewport={"width": width, "height": 800})
    open_live(page, f"?channel=width.{width}")
    rows(page, 1)

    def right(selector: str) -> float:
        box = page.locator(selector).bounding_box()
        assert box, selector
        return box["x"] + box["width"]

    for opened in (False, True):
        if opened:
            page.locator(".row").click()
            expect(page.locator("#detail")).to_be_visible()
        screenshot(page, f"width-{width}{'-detail' * opened}")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert right(".who") <= width
        assert page.locator("#state-text").evaluate("text => text.scrollWidth <= text.clientWidth")
        if opened and width <= 860:  # the detail is all there is to be seen
            assert page.locator("#panel").bounding_box() == {"x": 0, "y": 0, "width": width, "height": 800}
            continue
        field = page.locator("#search").bounding_box()
        assert field
        assert field["width"] >= (130 if width < 400 else 220)
        edge = page.locator("#panel").bounding_box()["x"] if opened else width  # type: ignore[index]
        for selector in (".row", "#search", ".group", "#publish-open", "#chips"):
            assert right(selector) <= edge, selector


def test_without_javascript_it_says_so(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, java_script_enabled=False)
    page.goto("/messages/")
    expect(page.locator("noscript p")).to_be_visible()
    expect(page.locator("#unstarted")).to_be_hidden()


def test_without_its_static_files_it_says_so(site: Site, open_page: OpenPage, console: Console) -> None:
    console.allow("404")
    page = open_page(site)
    for missing, path in (("one module", "**/static/messaging/rows.js"), ("all", "**/static/**")):
        page.route(path, lambda route: route.fulfill(status=404))
        page.goto("/messages/")
        expect(page.locator("#unstarted"), missing).to_be_visible()
        expect(page.locator("#unstarted")).to_contain_text("The script of this page has not loaded")
    page.unroute_all()
    open_live(page)
    expect(page.locator("#unstarted")).to_have_count(0)


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_the_script_has_three_seconds_before_it_says_so(
    site: Site, open_page: OpenPage, console: Console, motion: Literal["no-preference", "reduce"]
) -> None:
    console.allow("404")
    page = open_page(site, reduced_motion=motion)
    page.route("**/static/messaging/page.js", lambda route: route.fulfill(status=404))
    page.goto("/messages/")
    assert page.locator("#unstarted").evaluate("text => getComputedStyle(text).animationDuration") == "3s"


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


def test_the_chart_does_not_take_what_was_loaded_for_all_there_was(
    page: Page, send: Send, screenshot: Shot
) -> None:
    for n in range(3):
        send("chart", *({"n": n, "of": 300} for n in range(n * 100, n * 100 + 100)))
    page.goto("/messages/?channel=chart&last=1000")
    peak = page.locator("#rate-peak")
    expect(peak).to_have_text(re.compile(r"peak \d+"))  # all of them: it knows
    open_live(page, "?channel=chart&last=10")
    rows(page, 10)
    tip = page.locator(".chart-tip")
    page.locator("#rate-chart canvas").wait_for()
    page.locator("#rate-chart .u-over").hover(position={"x": 5, "y": 10})
    expect(tip).to_contain_text("not known")
    screenshot(page, "live-chart-unknown")
    expect(peak).to_have_text("")
    next_second(page)
    send("chart", *({"after": n} for n in range(20)))
    expect(peak).to_have_text(re.compile(r"peak (1\d|20)$"))
