"""The file that is there while a process does its work."""

from pathlib import Path

import pytest
from pytest_django import Settings

from messaging.readyfile import CannotMake, ReadyFile
from tests.commands import run
from tests.servers import TestServer


def test_it_is_there_while_it_is_true(tmp_path: Path) -> None:
    path = tmp_path / "ready"
    path.touch()  # of one that was killed
    with ReadyFile(path) as ready:
        assert list(tmp_path.iterdir()) == []
        ready.show(True)
        assert path.exists()
        ready.show(False)
        assert not path.exists()
        ready.show(True)
    assert not path.exists()


def test_without_a_path_nothing_is_made() -> None:
    with ReadyFile(None) as ready:
        ready.show(True)


def test_a_folder_that_goes_stops_no_work(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with ReadyFile(tmp_path / "run" / "ready") as ready:
        ready.show(True)
        (tmp_path / "run" / "ready").unlink()
        (tmp_path / "run").rmdir()
        ready.show(True)


@pytest.mark.parametrize(
    ("path", "why"),
    [("nowhere/ready", "No such file or directory"), ("file/ready", "Not a directory"), ("folder", "")],
)
def test_a_place_where_no_file_can_be(tmp_path: Path, path: str, why: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with (
        pytest.raises(CannotMake, match=f"--ready-file {tmp_path}/{path}: .*{why}"),
        ReadyFile(tmp_path / path),
    ):
        pass


@pytest.mark.django_db
@pytest.mark.parametrize("command", ["work", "listen"])
def test_commands_say_so(command: str, broker: TestServer, settings: Settings) -> None:
    settings.TASKS = {"default": {"BACKEND": "messaging.taskqueue.RedisTaskBackend"}}
    ran = run(command, "--ready-file", "/nowhere/ready")
    assert ran.code == 3
    assert ran.err == "Cannot start: --ready-file /nowhere/ready: No such file or directory\n"
