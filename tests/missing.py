"""A part of the machine that is not there -> skipped tests, said loudly at the end; a failure where CI promised it."""

import os
from collections import Counter
from typing import NoReturn

import pytest

PREFIX = "missing on this machine: "


def missing(what: str, remedy: str) -> NoReturn:
    """Ends a test that needs ``what``: as a failure when CI=true, else as skipped and named in the summary."""
    pytest.skip(_unless_promised(what, remedy))


def replaced(test: pytest.Item, what: str, remedy: str) -> None:
    """A test that goes on with something else than ``what``: a failure when CI=true, else named in the summary."""
    test.user_properties.append((PREFIX, _unless_promised(what, remedy)))


def _unless_promised(what: str, remedy: str) -> str:
    text = f"{PREFIX}{what} (install: {remedy})"
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(text, pytrace=False)
    return text


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was not tested, and why, as the last thing that a person sees."""
    counted: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        if isinstance(report.longrepr, tuple) and PREFIX in (reason := report.longrepr[2]):
            counted[f"tests did not run: {PREFIX}{reason.split(PREFIX, 1)[1]}"] += 1
    for report in terminalreporter.stats.get("passed", []):
        for name, text in report.user_properties:
            if name == PREFIX:
                counted[f"tests ran with something else: {text}"] += 1
    if counted:
        terminalreporter.section("NOT EVERYTHING WAS TESTED", sep="!", red=True, bold=True)
        for what, count in sorted(counted.items()):
            terminalreporter.line(f"{count} {what}", red=True, bold=True)
