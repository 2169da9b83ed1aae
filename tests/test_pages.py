"""The pages beside the code: each block of code on them is run, from the top to the bottom, and says what it says."""

import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import TestCase

import pytest
from django.core.management import get_commands, load_command_class
from pytest_django import Settings

from messaging.taskchecks import check_tasks
from messaging.taskqueue.tasks import TaskOptions
from messaging.testing import captured, captured_tasks, memory_broker, run_tasks
from tests.commands import run
from tests.subscribers.conftest import empty_registry

__all__ = ["empty_registry"]

ROOT = Path(__file__).resolve().parent.parent
PAGES = (
    "messaging/taskqueue/README.md",
    "messaging/taskqueue/RETRIES.md",
    "messaging/taskqueue/PORTING.md",
    "messaging/testing/README.md",
)
FIXTURES: dict[str, Callable[[], Any]] = {
    "published": captured,
    "tasks": captured_tasks,
    "memory_broker": memory_broker,
}
RUN_FOREVER = ("work", "listen", "up")

pytestmark = pytest.mark.django_db(transaction=True)


def blocks(page: str) -> Iterator[tuple[str, str]]:
    text = (ROOT / page).read_text()
    yield from re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


Files = Callable[[str], ModuleType]


@pytest.fixture
def files() -> Iterator[Files]:
    """A block -> the module that it belongs to: that of the file which its first line names, else that of the block
    at the top of the page. Who copies two files has two namespaces; a worker finds the tasks of each."""
    made: list[ModuleType] = []

    def module_of(code: str) -> ModuleType:
        named = re.match(r"# ((?:\w+/)*\w+)\.py\n", code)
        if named is None and made:
            return made[0]
        name = named[1].replace("/", ".") if named else "page"
        for known in made:
            if known.__name__ == name:
                return known
        made.append(ModuleType(name))
        sys.modules[name] = made[-1]
        return made[-1]

    yield module_of
    for module in made:
        del sys.modules[module.__name__]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.usefixtures("empty_registry")
def test_each_block_of_code_does_what_the_page_says(page: str, files: Files, settings: Settings) -> None:
    found = list(blocks(page))
    assert found[0][0] == "python", "a page begins with an example"
    for _, code in found:  # first of all: an example above may need them
        if code.startswith("# settings.py\n"):
            given: dict[str, Any] = {}
            exec(code, given)  # noqa: S102 (a page of ours)
            settings.TASKS = given.get("TASKS", settings.TASKS)
            settings.MESSAGING = settings.MESSAGING | given.get("MESSAGING", {})
    checked: list[str] = []

    def check(value: object, said: str) -> None:
        assert re.sub(r"<(TaskResultStatus\.\w+): '\w+'>", r"\1", repr(value)) == said
        checked.append(said)

    with memory_broker():
        for language, code in found:
            if language == "sh":
                for line in code.splitlines():
                    run_line(line)
            elif not code.startswith(("# settings.py", "# conftest.py")):
                assert language == "python", language
                code = re.sub(
                    r"^(\S.*?)  # -> (.+)$",
                    lambda shown: f"check(({shown[1]}), {shown[2]!r})",
                    code,
                    flags=re.MULTILINE,
                )
                module = files(code)
                module.__dict__["check"] = check
                exec(compile(code, page, "exec"), module.__dict__)  # noqa: S102
                if code.startswith("# tests/"):
                    assert run_tests(module) == code.count("def test_")
        assert check_tasks() == []
    promised = sum(len(re.findall("  # -> ", code)) for _, code in found)
    assert len(checked) == promised, "a value is shown that was not compared"


def run_line(line: str) -> None:
    """A line of a shell. What runs until it is told to stop is parsed; of a worker the work is done."""
    program, *words = shlex.split(line, comments=True)
    if program == "pytest":
        return
    assert program == "manage.py", line
    name, *arguments = words
    if name in RUN_FOREVER:
        command = load_command_class(get_commands()[name], name)
        command.create_parser("manage.py", name).parse_args(arguments)
        for _ in range(1 if "--burst" in arguments else 2):
            run_tasks(delayed="--burst" not in arguments)
        return
    ran = run(name, *arguments)
    assert ran.code in (0, 4), f"{line}: {ran}"


def run_tests(module: ModuleType) -> int:
    """As pytest would, each once; how many."""
    ran = 0
    for name, found in list(vars(module).items()):
        if isinstance(found, type) and issubclass(found, TestCase) and found is not TestCase:
            if found.__module__ == module.__name__:
                for each in (each for each in dir(found) if each.startswith("test")):
                    found(each).debug()
                    ran += 1
                del module.__dict__[name]
        elif name.startswith("test_"):
            code = found.__code__
            with ExitStack() as stack:
                wanted = code.co_varnames[: code.co_argcount]
                found(**{each: stack.enter_context(FIXTURES[each]()) for each in wanted})
            ran += 1
            del module.__dict__[name]
    return ran


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere_and_the_readme_leads_to_it(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert "://" in target or (ROOT / page).parent.joinpath(target).exists(), target
    assert f"({page})" in (ROOT / "README.md").read_text()


def test_every_option_of_a_task_and_of_a_worker_is_on_a_page() -> None:
    text = "".join((ROOT / page).read_text() for page in PAGES)
    named = {
        option
        for row in re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)
        for option in re.findall(r"`(.+?)`", row)
    }
    assert TaskOptions.__annotations__.keys() - named == set()
    parser = load_command_class("messaging", "work").create_parser("manage.py", "work")
    known = {name for action in parser._actions for name in action.option_strings}
    assert {each for each in named if each.startswith("--")} - known == set()
