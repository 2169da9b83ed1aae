"""The Content-Security-Policy: sent with every page, and one that Django's admin can live with."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page

from tests.browser import Console, drawn
from tests.sites import Site
from tests.waiting import PATIENCE


@pytest.mark.browser
def test_the_admin_works_under_the_policy(
    page: Page, console: Console, screenshot: Callable[..., Path]
) -> None:
    paths = ["/admin/", "/admin/auth/user/?q=a", "/admin/auth/user/add/", "/admin/password_change/"]
    paths += [f"/admin/messaging/{name}/" for name in ("queue", "queue/default/default", "deadletter")]
    for path in paths:
        reply = page.goto(path)
        assert reply is not None
        assert reply.headers["content-security-policy"].startswith("default-src 'self'")
        drawn(page)
    page.goto("/admin/auth/user/1/change/")
    page.click("#calendarlink0")  # the calendar is made by a script and styled by it
    page.locator("#calendarbox0").wait_for(state="visible")
    screenshot(page, "admin-user")
    console.check()


def test_a_script_from_elsewhere_is_refused(page: Page, console: Console) -> None:
    console.allow("Content Security Policy")
    page.goto("/admin/")
    page.evaluate(
        "const script = document.createElement('script'); script.textContent = 'window.ran = 1';"
        "document.body.append(script)"
    )
    assert page.evaluate("window.ran") is None
    assert len(console.errors) == 1


@pytest.mark.parametrize("path", ["/admin/login/", "/healthz", "/nothing", "/static/admin/css/base.css"])
def test_every_reply_has_the_policy(site: Site, path: str) -> None:
    reply = httpx.get(f"{site.url}{path}", timeout=PATIENCE, trust_env=False)
    assert "default-src 'self'" in reply.headers["content-security-policy"]
    assert reply.headers["x-content-type-options"] == "nosniff"
