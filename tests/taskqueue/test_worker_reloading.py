"""`--reload`: a file that has changed since it was loaded is noticed, once."""

import os
import time
from pathlib import Path

import pytest

from messaging.taskqueue.worker import reloading


def test_a_changed_file_is_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloading, "EVERY", 0.0)
    now = time.time()
    old, edited = tmp_path / "old.py", tmp_path / "edited.py"
    for path in (old, edited):
        path.touch()
        os.utime(path, (now - 100, now - 100))
    changes = reloading.Changes()
    changes.watch([str(old), str(edited)], since=now - 50)
    assert changes.look() == ""
    os.utime(edited, (now, now))
    assert changes.look() == str(edited)
    assert changes.look() == ""
    old.unlink()
    assert changes.look() == str(old)


def test_one_that_changed_before_it_was_known_is_noticed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloading, "EVERY", 0.0)
    late = tmp_path / "late.py"
    late.touch()
    changes = reloading.Changes()
    changes.watch([str(late)], since=time.time() - 10)  # the process that loaded it began before
    assert changes.look() == str(late)
    changes.watch([str(late)], since=time.time() + 10)  # of the next one
    assert changes.look() == ""


def test_the_files_of_this_process() -> None:
    assert reloading.__file__ in reloading.loaded_files()
