"""What the tests of the live page do with it again and again."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser import drawn
from tests.waiting import PATIENCE

Send = Callable[..., None]
Shot = Callable[..., Any]

LATE = datetime(2020, 1, 1, tzinfo=UTC)


def open_live(page: Page, query: str = "") -> None:
    """The page, once it is live."""
    page.goto(f"/messages/{query}")
    expect(page.locator("#state")).to_have_attribute("data-state", "live")
    drawn(page)


def rows(page: Page, count: int) -> None:
    """Waits until the page shows so many messages."""
    expect(page.locator(".row")).to_have_count(count)


def texts(page: Page, selector: str = ".row .payload") -> list[str]:
    """From the top."""
    drawn(page)
    return page.locator(selector).all_text_contents()


def numbers(start: int, end: int) -> list[dict[str, int]]:
    """Payloads to count by."""
    return [{"n": n} for n in range(start, end)]


def shown_numbers(page: Page) -> list[int]:
    """The n of each row, from the top."""
    return [int(found[1]) for text in texts(page) if (found := re.fullmatch(r'\{"n": (\d+)\}', text.strip()))]


def next_second(page: Page) -> None:
    """Returns once a message would be logged in a later second than the newest one shown."""
    second = page.locator(".row").first.evaluate("row => Math.floor(row.record.ms / 1000)")
    page.wait_for_function("second => Math.floor(Date.now() / 1000) > second", arg=second)


def until(page: Page, condition: Callable[[], bool]) -> None:
    """Lets the browser work until a condition of this side holds."""
    for _ in range(int(PATIENCE * 40)):
        if condition():
            return
        page.wait_for_timeout(25)
    raise AssertionError(f"not within {PATIENCE:g} s")
