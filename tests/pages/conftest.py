"""Fixtures of the tests in this folder."""

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from messaging import publish_many
from tests.conftest import reset_clients
from tests.pages.live import Send
from tests.sites import Site


@pytest.fixture
def send(site: Site, settings: Settings) -> Iterator[Send]:
    """`send("orders.paid", {"id": 1}, ...)` publishes on the site's broker, in one go."""
    settings.MESSAGING = settings.MESSAGING | {"URL": site.broker.url}
    reset_clients()

    def some(channel: str, *payloads: Any, **attributes: Any) -> None:
        messages = [{"channel": channel, "data": each, **attributes} for each in payloads]
        publish_many(messages, outbox=False)

    yield some
    reset_clients()
