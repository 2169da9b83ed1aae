"""Tabs of one browser share one stream: whoever leads, comes, goes, hides or falls silent, nobody misses a message."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import Console
from tests.conftest import OpenPage
from tests.pages.live import Send, Shot, numbers, open_live, rows, shown_numbers, until
from tests.processes import plain_environment, python
from tests.sites import Database, Site, running_site

pytestmark = [pytest.mark.browser, pytest.mark.once]  # the browser's side, not Python's

Tab = Callable[..., Page]

SUBSCRIBE = """async ([channels, options]) => {
    const {subscribe} = await import("/static/messaging/stream.js");
    window.got = []; window.gaps = [];
    const gap = (gap) => gaps.push(gap);
    window.subscription = subscribe(channels, ({data}) => got.push(data.n), {gap, ...options});
}"""

SHOW = """(state) => {
    Object.defineProperty(document, "visibilityState", {value: state, configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture(scope="module")
def site(database_template: Database) -> Iterator[Site]:
    """The site with the example examples/parcels in it."""
    directory = Path(tempfile.mkdtemp(prefix="mtw-", dir="/tmp"))
    try:
        database = database_template.copy_to(directory / "before")
        more = {"DJANGO_SETTINGS_MODULE": "examples.parcels.settings"}
        env = plain_environment(VAR_DIR=str(directory), DATABASE_URL=database.url, **more)
        subprocess.run(python("manage.py", "migrate", "parcels", "-v0"), env=env, check=True, timeout=60)
        with running_site(database, directory, **more) as running:
            yield running
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def tab(page: Page, console: Console) -> Tab:
    """`tab("a.*", times={"grace": 50})`: one more tab of the same browser, which subscribes and is served."""
    bare = []

    def open_one(*channels: str, **options: Any) -> Page:
        one = page.context.new_page() if bare else page
        if bare:
            console.watch(one)
        bare.append(one)
        one.goto("/accounts/login/?next=/messages/")
        one.evaluate(SUBSCRIBE, [list(channels), options])
        one.wait_for_function("() => ['leader', 'follower'].includes(subscription.role)")
        return one

    return open_one


def got(tab: Page, count: int) -> list[int]:
    """The numbers that a tab has received, once there are so many."""
    tab.wait_for_function("count => got.length >= count", arg=count)
    numbers: list[int] = tab.evaluate("got")
    return numbers


def role(tab: Page) -> str:
    found: str = tab.evaluate("subscription.role")
    return found


def streams(site: Site) -> int:
    """So many are open on the server."""
    with site.client() as client:
        lines = client.get("/metrics").text.splitlines()
    return int(
        float(next(line for line in lines if line.startswith("messaging_live_open_streams ")).split()[1])
    )


def test_ten_tabs_are_live_on_one_stream(
    page: Page, tab: Tab, site: Site, console: Console, send: Send
) -> None:
    """Ten streams would be too many for a browser: it opens six connections to a server over HTTP/1.1."""
    send("ten", *numbers(0, 3))
    bare = [tab("te*", last=3, scope="1") for _ in range(8)]
    pages = [page.context.new_page() for _ in range(2)]
    for one in pages:
        console.watch(one)
        open_live(one, "?channel=ten")
    send("ten", *numbers(3, 10))
    for one in pages:
        rows(one, 10)
        assert shown_numbers(one) == list(range(9, -1, -1))
    for one in bare:
        assert got(one, 10) == list(range(10))
    until(page, lambda: streams(site) == 1)


def test_each_tab_gets_what_it_asked_for(tab: Tab, site: Site, send: Send) -> None:
    first = tab("mix.a")
    send("mix.a", *numbers(0, 50))
    second = tab("mix.b*")
    for start in range(50, 200, 50):
        send("mix.a", *numbers(start, start + 50))
        send("mix.b1", *numbers(start, start + 50))
    third = tab("mix.*", last=1000)
    send("mix.a", *numbers(200, 250))
    assert got(first, 250) == list(range(250))
    assert got(second, 150) == list(range(50, 200))
    assert len(got(third, 400)) == 400
    assert [role(one) for one in (first, second, third)] == ["leader", "follower", "follower"]
    assert streams(site) == 1
    third.evaluate("subscription.close()")
    second.evaluate("subscription.open({channels: ['mix.c']})")
    second.wait_for_function("() => subscription.role === 'follower'")
    send("mix.b1", {"n": -1})
    send("mix.c", {"n": 1})
    send("mix.a", {"n": 250})
    assert got(second, 151)[150:] == [1]
    assert got(first, 251)[250:] == [250]
    assert len(got(third, 400)) == 400


def test_another_tab_takes_over_without_a_loss(tab: Tab, send: Send) -> None:
    leader, *others = [tab("over.*") for _ in range(4)]
    for start in range(0, 200, 50):
        send("over.x", *numbers(start, start + 50))
        if start == 50:
            leader.close()
        if start == 100:
            others[0].evaluate("subscription.close()")
    for one in others[1:]:
        assert got(one, 200) == list(range(200))
        assert one.evaluate("gaps") == []
    assert sorted(role(one) for one in others[1:]) == ["follower", "leader"]


def test_a_leader_that_falls_silent_is_replaced(tab: Tab, send: Send) -> None:
    times = {"beat": 1000}  # those that are left must not take each other for silent on a slow machine
    leader, other, third = (tab("silent", times=times) for _ in range(3))
    leader.evaluate("BroadcastChannel.prototype.postMessage = () => {}")
    send("silent", *numbers(0, 50))
    for one in (other, third):
        assert got(one, 50) == list(range(50))
    until(other, lambda: "leader" in {role(other), role(third)})
    assert got(leader, 50) == list(range(50))


def test_a_hidden_tab_hands_over_sleeps_and_catches_up(tab: Tab, site: Site, send: Send) -> None:
    times = {"handover": 50, "grace": 400}
    first, second = (tab("sleep", times=times) for _ in range(2))
    first.evaluate(SHOW, "hidden")
    second.wait_for_function("() => subscription.role === 'leader'")
    first.wait_for_function("() => subscription.role === 'asleep'")
    second.evaluate(SHOW, "hidden")
    second.wait_for_function("() => subscription.role === 'asleep'")
    until(first, lambda: streams(site) == 0)
    send("sleep", *numbers(0, 300))
    for one in (second, first):
        one.evaluate(SHOW, "visible")
        assert got(one, 300) == list(range(300))
        assert one.evaluate("gaps") == []
    send("sleep", *numbers(300, 310))
    assert got(first, 310) == got(second, 310) == list(range(310))
    until(first, lambda: streams(site) == 1)


def test_a_shared_stream_that_is_refused_is_asked_for_one_by_one(
    tab: Tab, console: Console, send: Send
) -> None:
    console.allow("400")
    many = [f"many.{n}" for n in range(30)]
    first = tab(*many)
    send("many.1", {"n": 1})
    first.evaluate(SUBSCRIBE.replace("got", "more"), [[f"more.{n}" for n in range(30)], {}])
    first.wait_for_function("() => subscription.state.name === 'live'")
    send("many.2", {"n": 2})
    send("more.2", {"n": 3})
    assert got(first, 2) == [1, 2]
    first.wait_for_function("() => more.length === 1 && more[0] === 3")


def test_without_web_locks_each_tab_has_its_own(page: Page, site: Site, send: Send) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'locks', {value: undefined})")  # as on plain HTTP
    open_live(page, "?channel=nolock")
    send("nolock", *numbers(0, 3))
    rows(page, 3)
    page.evaluate(SHOW, "hidden")
    expect(page.locator("#state")).to_have_attribute("data-state", "live")


def test_the_example_a_model_that_changes_on_one_page_changes_another(
    site: Site, open_page: OpenPage, screenshot: Shot
) -> None:
    page = open_page(site)
    boards = [page.context.new_page() for _ in range(2)]
    for board in boards:
        board.goto("/parcels/")
        expect(board.locator("#state")).to_have_text("Up to date")
    page.goto("/parcels/new/")
    page.get_by_label("Name").fill("Books for Ada")
    page.get_by_role("button", name="Save").click()
    for board in boards:
        expect(board.locator("tbody tr")).to_have_text(re.compile(r"Books for Ada\s*packed"))
    page.get_by_role("link", name="Books for Ada").click()
    page.get_by_label("State").select_option("delivered")
    page.get_by_role("button", name="Save").click()
    for board in boards:
        expect(board.locator("tbody tr")).to_have_text(re.compile(r"Books for Ada\s*delivered"))
    boards[0].get_by_role("link", name="Books for Ada").click()
    expect(boards[0]).to_have_url(re.compile(r"/parcels/1/$"))
    screenshot(boards[1], "example-parcels")


def test_a_page_without_cookies_gets_a_fresh_ticket_for_each_attempt(
    site: Site, open_page: OpenPage, send: Send, console: Console
) -> None:
    with site.client() as client:
        answers = [client.post("/messages/ticket", data={"channel": "by.ticket"}) for _ in range(2)]
    console.allow("403")
    page = open_page(site, login=False)
    page.goto("/accounts/login/")
    page.evaluate(
        """async (tickets) => {
            const { subscribe } = await import("/static/messaging/stream.js");
            window.got = []; window.states = []; window.left = tickets;
            const options = { ticket: () => tickets.shift(), state: ({ name, why }) => states.push([name, why]) };
            window.subscription = subscribe(["by.ticket"], ({ data }) => got.push(data.n), options);
        }""",
        ["too-old", *(answer.json()["ticket"] for answer in answers)],
    )
    page.wait_for_function("() => states.at(-1)?.[0] === 'live'", timeout=30_000)
    assert page.evaluate("states.map(([name]) => name)") == ["connecting", "waiting", "catching", "live"]
    send("by.ticket", *numbers(0, 3))
    page.wait_for_function("() => got.length === 3", timeout=30_000)
    assert page.evaluate("left.length") == 1  # one for each attempt
    assert page.evaluate("subscription.role") == "own"
    page.evaluate("subscription.close()")
