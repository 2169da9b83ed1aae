"""The system's Chromium -> pages that fail their test on any error in the console."""

import re
import shutil
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Playwright, expect

from tests.sites import Site
from tests.waiting import PATIENCE

SCREENSHOTS = Path(__file__).resolve().parent / "screenshots"

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_path() -> str | None:
    """The system's browser, or None. The one without windows, where it is packaged, takes a third less CPU."""
    names = (
        "chromium-headless-shell",
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    )
    return next((path for name in names if (path := shutil.which(name))), None)


def launch(playwright: Playwright, path: str) -> Browser:
    """A headless browser with an empty profile of its own."""
    expect.set_options(timeout=PATIENCE * 1000)
    return playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)


class Console:
    """What pages of one test complained about: errors in the console, uncaught exceptions, refused by the CSP."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self._allowed: list[re.Pattern[str]] = []

    def allow(self, pattern: str) -> None:
        """Errors that match are part of the test, such as a request that is meant to answer 503."""
        self._allowed.append(re.compile(pattern))

    def watch(self, page: Page) -> None:
        """Takes down the errors of ``page`` from now on."""
        page.on("console", self._heard)
        page.on("pageerror", self._thrown)

    def check(self) -> None:
        """Raises AssertionError when there was an error that no pattern allows."""
        left = [error for error in self.errors if not any(allowed.search(error) for allowed in self._allowed)]
        assert not left, "the browser's console:\n" + "\n".join(left)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def _thrown(self, error: Error) -> None:
        self.errors.append(f"uncaught: {error}")


def open_page(
    browser: Browser, site: Site, console: Console, *, login: bool = True, **context: object
) -> Page:
    """A page of a fresh browser profile, its address relative to the site; ``context`` as for ``new_context``."""
    made = browser.new_context(
        **({"base_url": site.url, "viewport": {"width": 1280, "height": 800}} | context)
    )
    if login:
        made.add_cookies(
            [{"name": name, "value": value, "url": site.url} for name, value in site.cookies.items()]
        )
    made.set_default_timeout(PATIENCE * 1000)
    page = made.new_page()
    console.watch(page)
    return page


def drawn(page: Page) -> None:
    """Returns when all that has reached the page so far is to be seen on it: it draws with the next frame."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")


def take_screenshot(page: Page, name: str, *, full_page: bool = False) -> Path:
    """tests/screenshots/NAME.png, to be looked at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    path = SCREENSHOTS / f"{name}.png"
    page.screenshot(path=path, full_page=full_page)
    return path
