"""`make run` on a fresh clone, and the search for an interpreter that comes first."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.processes import ROOT, Process, exists, plain_environment, queued
from tests.waiting import assert_within

pytestmark = pytest.mark.once

FIND = str(ROOT / ".ci" / "find-python")

THIS = f"{sys.version_info[0]}.{sys.version_info[1]}"


def find(
    path: Path | str, *arguments: str, pyenv: Path | str = "/nonexistent"
) -> subprocess.CompletedProcess[str]:
    env = {"PATH": str(path), "PYENV_ROOT": str(pyenv), "HOME": "/nonexistent"}
    return subprocess.run(["/bin/sh", FIND, *arguments], env=env, capture_output=True, text=True, timeout=30)


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def pretender(path: Path, version: tuple[int, int, int], *, lacks: str = "none") -> None:
    """This interpreter under another version number, without one of its modules."""
    program(
        path,
        f"#!{sys.executable} -I\n"
        "import sys\n"
        f"sys.modules[{lacks!r}] = None\n"
        f"sys.version_info = {(*version, 'final', 0)!r}\n"
        f"sys.executable = {str(path)!r}\n"
        "sys.argv = sys.argv[3:]  # after -I -c\n"
        "exec(sys.argv[0])\n",
    )


def test_the_newest_is_chosen_wherever_it_is(tmp_path: Path) -> None:
    pretender(tmp_path / "bin/python3.11", (3, 11, 9))
    pretender(tmp_path / "bin/python3.12", (3, 12, 4))
    pretender(tmp_path / "pyenv/versions/3.13.2/bin/python", (3, 13, 2))
    pretender(tmp_path / "pyenv/versions/3.13.10/bin/python", (3, 13, 10))
    found = find(tmp_path / "bin", pyenv=tmp_path / "pyenv")
    assert found.stdout == f"{tmp_path}/pyenv/versions/3.13.10/bin/python\n"
    assert find(tmp_path / "bin").stdout == f"{tmp_path}/bin/python3.12\n"
    assert find(tmp_path / "bin", "3.11").stdout == f"{tmp_path}/bin/python3.11\n"


def test_a_plain_name_will_do(tmp_path: Path) -> None:
    (tmp_path / "python").symlink_to(sys.executable)
    assert subprocess.check_output([find(tmp_path).stdout.strip(), "-V"], text=True).startswith(
        f"Python {THIS}"
    )


def test_what_does_not_fit_is_passed_over_and_named(tmp_path: Path) -> None:
    program(tmp_path / "python3.14", "#!/bin/sh\necho 'pyenv: python3.14: command not found' >&2\nexit 127\n")
    pretender(tmp_path / "python3.13", (3, 13, 1), lacks="ensurepip")
    pretender(tmp_path / "python3.12", (3, 12, 1), lacks="venv")
    pretender(tmp_path / "python3.11", (3, 10, 4))
    pretender(tmp_path / "python3", (3, 15, 0))
    refused = find(tmp_path)
    assert refused.returncode == 3
    assert refused.stdout == ""
    assert (
        "found no Python that fits. Needed is one of 3.14 3.13 3.12 3.11, with venv and ensurepip."
        in refused.stderr
    )
    for line in (
        f"{tmp_path}/python3.14 does not run",
        f"{tmp_path}/python3.13 is Python 3.13 without ensurepip",
        f"{tmp_path}/python3.12 is Python 3.12 without venv",
        f"{tmp_path}/python3.11 is Python 3.10",
        f"{tmp_path}/python3 is Python 3.15",
    ):
        assert f"  {line}\n" in refused.stderr
    pretender(tmp_path / "more" / "python3.11", (3, 11, 0))
    assert find(f"{tmp_path}:{tmp_path}/more").stdout == f"{tmp_path}/more/python3.11\n"


def test_none_at_all(tmp_path: Path) -> None:
    refused = find(tmp_path)
    assert refused.returncode == 3
    assert "There is none on PATH nor in /nonexistent/versions." in refused.stderr


@pytest.fixture
def clone(short_directory: Path) -> Path:
    """The project as a fresh clone would have it, with what is not committed yet."""
    target = short_directory / "clone"
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    )
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def test_make_without_an_interpreter_says_so_and_fails(clone: Path, tmp_path: Path) -> None:
    for name in ("make", "sh", "dirname", "cat", "find", "rm"):
        (tmp_path / name).symlink_to(shutil.which(name) or pytest.fail(f"no {name}"))
    env = {"PATH": str(tmp_path), "HOME": "/nonexistent"}
    made = subprocess.run(["make", "run"], cwd=clone, env=env, capture_output=True, text=True, timeout=30)
    assert "Cannot start: found no Python that fits." in made.stderr
    assert "Error 3" in made.stderr  # the code of the recipe; make itself always says 2
    assert made.returncode == 2
    made = subprocess.run(
        ["make", "run", "PYTHON=python9"], cwd=clone, env=env, capture_output=True, text=True, timeout=30
    )
    assert "Cannot start: PYTHON=python9 is not a program." in made.stderr


@pytest.mark.timeout(240)
def test_fresh_clone_runs_with_one_command(clone: Path) -> None:
    """Installs for real, into an environment of its own."""
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    env = plain_environment(PORT="0", PYTHON=str(Path(sys.executable).resolve()), **pip)
    del env["SECRET_KEY"]
    first = Process(["/usr/bin/env", "make", "run"], env=env, cwd=clone)
    try:
        first.wait_for(r"Installing requirements.txt into .venv", timeout=90)
        first.wait_for(r"Log in +admin / \S+", timeout=180)
        first.wait_for("Stop +Ctrl-C")
        pid = int((clone / "var/up.lock").read_text())
        os.killpg(first.pid, signal.SIGINT)  # what a terminal sends
        first.wait()
        assert not exists(pid)
        assert "Traceback" not in first.output
    finally:
        first.clean_up()

    def start_again() -> float:
        began = time.monotonic()
        again = Process(["/usr/bin/env", "make", "run"], env=env, cwd=clone)
        try:
            again.wait_for(r"Live log +http://127\.0\.0\.1:\d+/messages/")
            took = time.monotonic() - began - queued(again.pid)
            assert "Installing" not in again.output
            assert "Log in" not in again.output
            again.terminate()
        finally:
            again.clean_up()
        return took

    assert_within(3.0, start_again)
