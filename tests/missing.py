"""A part of the machine that is not there -> skipped tests, said loudly at the end; a failure where CI promised it."""

import os
from typing import NoReturn

import pytest

PREFIX = "missing on this machine: "


def missing(what: str, remedy: str) -> NoReturn:
    """Ends a test that needs ``what``: as a failure when CI=true, else as skipped and named in the summary."""
    text = f"{PREFIX}{what} (install: {remedy})"
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(text, pytrace=False)
    pytest.skip(text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was not tested, and why, as the last thing that a person sees."""
    counted: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        if isinstance(report.longrepr, tuple) and PREFIX in (reason := report.longrepr[2]):
            part = reason.split(PREFIX, 1)[1]
            counted[part] = counted.get(part, 0) + 1
    if counted:
        terminalreporter.section("NOT EVERYTHING WAS TESTED", sep="!", red=True, bold=True)
        for part, count in sorted(counted.items()):
            terminalreporter.line(f"{count} tests did not run: {PREFIX}{part}", red=True, bold=True)
