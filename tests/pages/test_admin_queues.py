"""The admin's pages of queues and tasks in a real browser: what fits, what is ticked, what a reload leaves alone."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from pytest_django import Settings

from tests.conftest import reset_clients
from tests.pages.live import Send
from tests.queued import kill
from tests.sites import Site

pytestmark = pytest.mark.browser

DEAD, QUEUES = "/admin/messaging/deadletter/", "/admin/messaging/queue/"
CHANNELS, MESSAGES = "/admin/messaging/channel/", "/admin/messaging/message/"
LONG = "averylongnamewithoutanyplacetobreakit" * 5


@pytest.fixture
def queued(site: Site, settings: Settings) -> Iterator[None]:
    """What :mod:`tests.queued` does, it does on the site's broker; all of it is gone after the test."""
    settings.MESSAGING = settings.MESSAGING | {"URL": site.broker.url}
    reset_clients()
    yield
    with site.broker.client() as client:
        for key in client.scan_iter("*:default:*"):
            client.delete(key)
    reset_clients()


def beyond(page: Page, *selectors: str) -> dict[str, int]:
    """How many pixels an element is wider than its place, for those that are."""
    wider = page.locator(", ".join(selectors)).evaluate_all(
        "all => all.map((each) => [each.tagName, each.scrollWidth - each.clientWidth])"
    )
    return {name: pixels for name, pixels in wider if pixels > 0}


@pytest.mark.parametrize("width", [1280, 1024, 390])
def test_lists_fit_also_with_long_names(page: Page, send: Send, queued: None, width: int) -> None:
    send(LONG, {"id": 1})
    kill(1, task=f"shop.tasks.{LONG}", error=f"shop.{LONG}")
    page.set_viewport_size({"width": width, "height": 900})
    for url, table in (
        (CHANNELS, ".results" if width > 1000 else "html"),  # on a phone it may be scrolled
        (MESSAGES, ".results"),
        (DEAD, ".mb-scroll"),
        (QUEUES, ".mb-scroll"),
    ):
        page.goto(url)
        assert beyond(page, "html", table) == {}, url
    page.goto(DEAD)
    for field in page.locator(".mb-search :is(input, select)").all():
        box = field.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width
    assert page.locator("thead th").filter(has_text="Actions").count() == 1
    assert (
        page.locator("thead th").evaluate_all("all => all.filter((each) => !each.textContent.trim()).length")
        == 0
    )


def test_a_way_has_spaces_and_a_search_has_its_name(page: Page) -> None:
    page.goto(QUEUES)
    trail = "ol.breadcrumbs > li"
    if page.locator(trail).count():  # drawn by the style sheet from Django 6.1 on
        gaps = page.locator(trail).evaluate_all(
            "all => all.map((each) => each.getBoundingClientRect())"
            ".map((box, at, boxes) => at ? box.x - boxes[at - 1].right : 9)"
        )
        assert min(gaps) > 2
    page.goto("/admin/messaging/quarantine/")
    expect(page.locator("label[for=searchbar]")).to_have_text("Search")
    expect(page.locator(".paginator")).to_contain_text("0 quarantined entries")


def test_dead_letters_are_ticked_all_at_once(page: Page, queued: None) -> None:
    kill(3)
    page.goto(DEAD)
    retry, discard = (page.locator(f"input[value^={verb}]") for verb in ("Retry", "Discard"))
    expect(retry).to_be_disabled()
    everything = page.get_by_role("checkbox", name="Tick all on this page")
    boxes = page.get_by_role("checkbox", name="Tick tests")
    everything.check()
    expect(discard).to_have_value("Discard 3 ticked…")
    boxes.first.uncheck()
    expect(retry).to_have_value("Retry 2 ticked…")
    assert everything.evaluate("each => each.indeterminate")
    retry.click()
    page.get_by_role("button", name="Retry 2 dead letters").click()
    expect(page.get_by_text("2 are back in their queues.")).to_be_visible()
    expect(boxes).to_have_count(1)
    page.set_viewport_size({"width": 390, "height": 800})
    everything.check()
    expect(boxes).to_be_checked()
    tick, name = (each.bounding_box() for each in (boxes, page.locator(".mb-dead th .mb-name")))
    assert tick is not None
    assert name is not None
    assert name["x"] - tick["x"] < 40  # beside it
    assert abs(name["y"] - tick["y"]) < 12


def test_a_reload_leaves_what_is_typed(page: Page, queued: None) -> None:
    kill(1)
    page.clock.install()
    page.goto(f"{QUEUES}default/mails/?every=5")
    page.evaluate("window.mark = 'the same page'")
    cards = page.locator(".mb-cards")
    expect(cards).to_contain_text("dead 1")
    why = page.get_by_label("Why, for whoever wonders")
    why.fill("the server moves")
    why.blur()
    kill(1)
    page.clock.run_for(6000)
    page.clock.run_for(6000)
    expect(why).to_have_value("the server moves")
    expect(cards).to_contain_text("dead 1")
    why.fill("")
    page.clock.run_for(6000)  # it has the focus
    expect(cards).to_contain_text("dead 1")
    why.blur()
    page.clock.run_for(6000)
    expect(cards).to_contain_text("dead 2")
    assert page.evaluate("window.mark") == "the same page"
    why.fill("it works on")
    page.get_by_role("button", name="Pause: no worker takes more").click()
    expect(page.get_by_text("it works on")).to_be_visible()
