"""The README says what is there: its links, its tour, its commands and its tables are checked against the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from messaging.conf import names
from messaging.taskqueue.options import NAMES as OPTIONS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def section(title: str) -> str:
    """The text between a heading and the next of its level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, f"the README has no section {title!r}"
    return found[1]


def test_every_link_and_picture_leads_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README) + re.findall(r'src(?:set)?="([^"]+)"', README)
    assert targets
    missing = [each for each in targets if "://" not in each and not (ROOT / each).exists()]
    assert missing == []


def test_the_tour_passes_files_that_say_what_comes_in_and_what_goes_out() -> None:
    tour = re.findall(r"^\| \d+a? \| \[[^\]]+\]\(([^)]+)\)", section("How a message travels"), re.MULTILINE)
    assert len(tour) >= 12
    for path in tour:
        first = (ROOT / path).read_text().split("\n", 1)[0]
        assert first.startswith(('"""', "-- ")), f"{path}: {first}"
        assert len(first) > 20, f"{path}: {first}"


@pytest.mark.parametrize(
    ("caller", "callee"),
    [
        ("messaging/publisher.py", "messaging.outbox|outbox"),
        ("messaging/publisher.py", "messaging.event"),
        ("messaging/publisher.py", "messaging.sender"),
        ("messaging/sender.py", "log"),
        ("messaging/log.py", "wire"),
        ("messaging/relay.py", "storage"),
        ("messaging/live/asgi.py", "messaging.live.hub|hub"),
        ("messaging/duties.py", "messaging.dispatch"),
        ("messaging/dispatch.py", "messaging.subscriptions"),
        ("messaging/subscriptions.py", "messaging.deliveries"),
        ("messaging/dispatch.py", "messaging.taskqueue.queue"),
    ],
)
def test_each_step_of_the_tour_calls_the_next(caller: str, callee: str) -> None:
    imports = re.findall(
        r"^(?:from|import) .+?(?:\([^)]*\)|$)", (ROOT / caller).read_text(), re.MULTILINE | re.DOTALL
    )
    assert any(re.search(rf"\b({callee})\b", line) for line in imports), f"{caller} does not import {callee}"


def test_every_command_it_names_exists_and_has_help() -> None:
    named = set(re.findall(r"^\| `manage\.py (\w+)", section("Commands"), re.MULTILINE))
    assert {"up", "listen", "publish", "tail", "messaging"} <= named
    ours = get_commands()
    for name in named:
        assert name in ours, name
        if ours[name] == "messaging":
            assert load_command_class("messaging", name).help, name


def test_every_setting_it_names_exists() -> None:
    named = re.findall(r"`([A-Z][A-Z_]+)`", section("Settings").split("The app itself", 1)[1])
    assert len(named) > 10
    known = {*names(), "MESSAGING", "INSTALLED_APPS", *OPTIONS, "TASKS", "BACKEND", "OPTIONS"}
    assert [each for each in named if each not in known] == []


def test_every_environment_variable_it_names_is_read() -> None:
    named = re.findall(r"`([A-Z][A-Z_]+)`", section("Settings").split("The app itself", 1)[0])
    settings = (ROOT / "broker_site" / "settings.py").read_text()
    assert [each for each in named if each not in settings] == []


def test_every_package_in_use_has_its_reason() -> None:
    reasons = section("What it is built on").lower()
    for file in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / file).read_text().splitlines():
            if found := re.match(r"([A-Za-z][\w.-]*)", line.strip()):
                assert found[1].lower() in reasons, f"{file}: {found[1]} has no reason in the README"


def test_the_ten_lines_of_api_are_names_that_exist() -> None:
    import messaging

    code = section("The API in ten lines")
    for name in re.search(r"from messaging import (.+)", code)[1].split(","):  # type: ignore[index]
        assert callable(getattr(messaging, name.strip()))
