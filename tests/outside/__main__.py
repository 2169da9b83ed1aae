"""``python -m tests.outside``: suites of others against our backend. A table; exits with 1 when a test fails."""

import importlib
import logging
import os
import shutil
import sys
import unittest
from collections.abc import Iterator

import django
from django.conf import settings

from tests.outside.fetching import PLACE, source_of
from tests.outside.suites import DJANGO, ON_BACKPORT, RQ, TO_BACKPORT, TO_NATIVE, Suite
from tests.servers import TestServer

FIRST_WITH_TASKS = "6.0"  # an older Django has the backport, which is tested with what became of it
RQ_VERSION = "0.12.0"  # the suite of this version is known; another may ask for other things


class Notes(unittest.TestResult):
    """Counts, and what failed."""


def main() -> int:
    """The exit code."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    server = TestServer()
    try:
        settings.MESSAGING = {"URL": server.url}
        settings.TASKS = {
            "default": {"BACKEND": "messaging.taskqueue.RedisTaskBackend", "QUEUES": ["default", "queue-1"]}
        }
        django.setup()
        logging.getLogger().handlers.clear()  # what is meant to fail need not be read
        print(f"Python {sys.version.split()[0]}, Django {django.__version__}")
        return run()
    finally:
        server.remove()


def run() -> int:
    """Both suites."""
    package = PLACE / "run" / "tasks"
    shutil.rmtree(package, ignore_errors=True)
    sys.path.insert(0, str(package.parent))
    failed = 0
    print(f"{'suite':32}{'passed':>8}{'failed':>8}{'left out':>10}")
    if django.VERSION >= (6, 0):
        runs = ((DJANGO, django.__version__, ()), (RQ, RQ_VERSION, TO_NATIVE))
    else:
        runs = ((ON_BACKPORT, FIRST_WITH_TASKS, TO_BACKPORT), (RQ, RQ_VERSION, ()))
    for suite, version, changes in runs:
        suite.write(source_of(suite.package, version), package, also=changes)
        failed += run_suite(suite, version)
    return 1 if failed else 0


def run_suite(suite: Suite, version: str) -> int:
    """Runs one, prints its line and what was left out; how many failed."""
    names = [f"tasks.{name}" for name in suite.files.values() if name.startswith("test_")]
    loaded = unittest.TestSuite(
        unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(name)) for name in names
    )
    chosen, left_out = unittest.TestSuite(), {}
    for test in tests_of(loaded):
        kind, method = test.id().split(".")[-2:]
        reason = suite.left_out.get(kind) or suite.left_out.get(f"{kind}.{method}")
        if reason:
            left_out[f"{kind}.{method}"] = reason
        else:
            chosen.addTest(test)
    notes = Notes()
    count = chosen.countTestCases()
    databases = django.test.utils.setup_databases(verbosity=0, interactive=False)
    try:
        chosen.run(notes)
    finally:
        django.test.utils.teardown_databases(databases, verbosity=0)
    bad = {str(test): text for test, text in (*notes.failures, *notes.errors)}
    left_out |= {str(test): reason for test, reason in notes.skipped}
    title = f"{suite.name} {version}"
    print(f"{title:32}{count - len(bad) - len(notes.skipped):>8}{len(bad):>8}{len(left_out):>10}")
    for reason in dict.fromkeys(left_out.values()):
        names = [name for name, why in left_out.items() if why == reason]
        print(f"  left out, {reason}:\n    " + "\n    ".join(names))
    for name, text in bad.items():
        print(f"    FAILED: {name}\n{text}")
    return len(bad)


def tests_of(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    """The single tests."""
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from tests_of(each)
        else:
            yield each


if __name__ == "__main__":
    sys.exit(main())
