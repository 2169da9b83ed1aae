"""What tests start: a process from the nursery is like one that the system has started."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.nursery import Nursery
from tests.processes import Process, exists, plain_environment, python
from tests.waiting import eventually

pytestmark = pytest.mark.once

FACTS = """
import json, os, signal, sys
print(json.dumps({
    "argv": sys.argv, "orig_argv": sys.orig_argv, "name": __name__, "path": sys.path, "cwd": os.getcwd(),
    "leads": os.getsid(0) == os.getpid(), "env": dict(os.environ),
    "tty": [sys.stdin.isatty(), sys.stdout.isatty(), sys.stderr.isatty()],
    "encodings": [sys.stdin.encoding, sys.stdout.encoding, sys.stdout.errors, sys.stderr.errors],
    "buffering": [sys.stdout.line_buffering, sys.stdout.write_through, sys.stderr.line_buffering],
    "signals": [str(signal.getsignal(number)) for number in range(1, 32)],
    "open": [number for number in range(1000) if number in map(int, os.listdir("/proc/self/fd"))][:5],
    "heard": sys.stdin.readline(),
}))
sys.exit(7)
"""

Start = Callable[..., Process]


@contextmanager
def nursery_is(nursery: Nursery | None) -> Iterator[None]:
    before = Process.nursery
    Process.nursery = nursery
    try:
        yield
    finally:
        Process.nursery = before


@pytest.fixture
def own() -> Iterator[Nursery]:
    """A nursery for one test."""
    made = Nursery(plain_environment())
    with nursery_is(made):
        yield made
    made.close()


@pytest.mark.parametrize("tty", [False, True], ids=["pipes", "terminal"])
@pytest.mark.parametrize(
    "arguments", [["facts.py", "a b", ""], ["-m", "facts", "-x"]], ids=["script", "module"]
)
@pytest.mark.parametrize("more", [{}, {"PYTHONUNBUFFERED": ""}], ids=["unbuffered", "buffered"])
def test_a_fork_finds_what_a_started_process_finds(
    tmp_path: Path, arguments: list[str], more: dict[str, str], tty: bool
) -> None:
    (tmp_path / "facts.py").write_text(FACTS)
    env = plain_environment(GREETING="ü", PYTHONPATH=f"{tmp_path}/one:{tmp_path}/two") | more
    found: list[dict[str, Any]] = []
    for nursery in (None, Process.nursery):
        with nursery_is(nursery):
            process = Process(python(*arguments), env=env, cwd=tmp_path, stdin=subprocess.PIPE, tty=tty)
            assert process.popen.stdin
            process.popen.stdin.write("grüß\n".encode())
            process.popen.stdin.close()
            assert process.wait() == 7, process.output
            found.append(json.loads(process.stdout))
            process.clean_up()
    started, forked = found
    started["env"].pop("LC_CTYPE", None)  # which the interpreter sets for itself
    assert forked == started
    assert forked["heard"] == "grüß\n"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(text, **options)`: a fork that runs this script."""
    running: list[Process] = []

    def made(text: str, **options: Any) -> Process:
        (tmp_path / "script.py").write_text(text)
        running.append(Process(python("script.py"), env=plain_environment(), cwd=tmp_path, **options))
        return running[-1]

    yield made
    for process in running:
        process.clean_up()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 0),
        ("import sys; sys.exit('why')", 1),
        ("import os; os._exit(9)", 9),
        ("1 / 0", 1),
        ("raise KeyboardInterrupt", -signal.SIGINT),
        ("import os; os.abort()", -signal.SIGABRT),
        ("import threading; threading.Thread(target=print, args=['late']).start()", 0),
    ],
)
def test_how_it_ends(start: Start, text: str, code: int) -> None:
    process = start(text)
    assert process.wait() == code
    assert ("ZeroDivisionError" in process.stderr) == (text == "1 / 0")
    assert process.stdout == ("late\n" if "late" in text else "")


def test_signals_reach_it_and_it_alone(start: Start) -> None:
    one, other = (start("print('here', flush=True)\nimport time; time.sleep(600)") for _ in range(2))
    for process in (one, other):
        process.wait_for("^here$")
    assert one.terminate() == -signal.SIGTERM
    assert exists(other.pid)
    other.signal(signal.SIGINT)
    assert other.wait() == -signal.SIGINT
    assert "KeyboardInterrupt" in other.stderr


def test_a_descriptor_is_passed_on_and_no_other(start: Start) -> None:
    read, write = os.pipe()
    secret, _ = os.pipe()
    process = start(f"import os; os.write({write}, b'hello'); os.fstat({secret})", pass_fds=[write])
    os.close(write)
    assert process.wait() == 1
    assert "Bad file descriptor" in process.stderr
    assert os.read(read, 100) == b"hello"
    assert os.read(read, 100) == b""


def test_nothing_outlives_the_nursery(own: Nursery, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("print('here', flush=True)\nimport time; time.sleep(600)")
    process = Process(python("script.py"), env=plain_environment(), cwd=tmp_path)
    process.wait_for("^here$")
    own.close()
    eventually(lambda: not exists(process.pid))
    assert process.wait() == -signal.SIGTERM
    process.clean_up()


def test_it_is_not_tethered_to_a_thread_that_ends(own: Nursery, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("print('here')")
    taken: list[bool] = []

    def look() -> None:
        taken.append(own.takes(python("script.py"), plain_environment()))

    def in_a_thread() -> None:
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    in_a_thread()
    process = Process(python("script.py"), env=plain_environment(), cwd=tmp_path)
    assert process.wait() == 0
    process.clean_up()
    in_a_thread()
    assert taken == [False, True]


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        (["-c", "pass"], {}),
        (["-I", "script.py"], {}),
        (["script.py"], {"PYTHONDEVMODE": "1"}),
        (["script.py"], {"LC_ALL": "de_DE.ISO-8859-1"}),
    ],
)
def test_what_it_could_not_follow_is_started_by_the_system(
    arguments: list[str], more: dict[str, str]
) -> None:
    assert not Nursery(plain_environment()).takes(python(*arguments), plain_environment(**more))
