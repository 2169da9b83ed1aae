"""The watcher of a project's folder."""

import os
from pathlib import Path

import pytest

from messaging.standalone import watching
from messaging.standalone.watching import Watcher


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(watching, "EVERY", 0.0)
    for name in (
        "shop/views.py",
        "shop/templates/page.html",
        "var/kept.py",
        "env/lib/x.py",
        "env/pyvenv.cfg",
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x = 1")
    return tmp_path


@pytest.fixture
def watcher(project: Path) -> Watcher:
    return Watcher(project, leaving_out=[project / "var"])


@pytest.mark.parametrize("name", ["shop/views.py", "shop/templates/page.html"])
def test_a_file_that_changes_is_named_once(watcher: Watcher, project: Path, name: str) -> None:
    assert watcher.changed() == ""
    os.utime(project / name, (1, 1))
    assert watcher.changed() == name
    assert watcher.changed() == ""


def test_new_files_and_removed_ones(watcher: Watcher, project: Path) -> None:
    (project / "shop" / "new").mkdir()
    (project / "shop" / "new" / "models.py").write_text("")
    assert watcher.changed() == "shop/new/models.py"
    (project / "shop" / "views.py").unlink()
    assert watcher.changed() == "shop/views.py"


@pytest.mark.parametrize(
    "name", ["var/kept.py", "env/lib/x.py", "shop/notes.txt", ".git/hook.py", "node_modules/a/gyp.py"]
)
def test_what_is_not_the_projects_code(watcher: Watcher, project: Path, name: str) -> None:
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).write_text("another")
    os.utime(project / name, (1, 1))
    assert watcher.changed() == ""


def test_it_does_not_look_all_the_time(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "EVERY", 1000.0)
    watcher = Watcher(project)
    os.utime(project / "shop" / "views.py", (1, 1))
    assert watcher.changed() == ""


def test_a_folder_that_cannot_be_read(watcher: Watcher, project: Path) -> None:
    (project / "shop" / "link.py").symlink_to("nowhere.py")
    assert watcher.changed() == ""
