"""A mistake that takes a moment -> the fault that has to strike in it: by two files, so that no luck is needed.

The nemesis asks (``hold``), the variant answers when it has begun to make its mistake (``held``), and stays in it until
it is killed or stopped there.
"""

import os
import time
from pathlib import Path

VARIANTS = ("acknowledged_before_stored", "no_compare_and_set")  # that know how
DIRECTORY = "CHAOS_DIRECTORY"  # in the environment of each process of a world

_HOLD, _HELD = "hold", "held"


def ask(directory: Path) -> None:
    """The nemesis: from now on, stay."""
    (directory / _HOLD).touch()


def is_held(directory: Path) -> bool:
    """The nemesis: has it come to the point?"""
    return (directory / _HELD).exists()


def release(directory: Path) -> None:
    """The nemesis: whoever was held is dead."""
    for name in (_HOLD, _HELD):
        (directory / name).unlink(missing_ok=True)


def stay_if_asked() -> None:
    """The variant, in the midst of its mistake."""
    directory = Path(os.environ[DIRECTORY])
    while (directory / _HOLD).exists():
        (directory / _HELD).touch()
        time.sleep(0.01)
