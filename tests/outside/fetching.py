"""A package and its version -> its unpacked source distribution under var/, fetched once by pip."""

import subprocess
import sys
import tarfile
from pathlib import Path

PLACE = Path(__file__).resolve().parents[2] / "var" / "outside"


def source_of(package: str, version: str) -> Path:
    """The folder that the archive holds. Nothing of it is installed, and nothing of it is kept in the project."""
    PLACE.mkdir(parents=True, exist_ok=True)
    stem = f"{package.replace('-', '_').lower()}-{version}"
    folder = PLACE / stem
    if not folder.exists():
        archive = PLACE / f"{stem}.tar.gz"
        if not archive.exists():
            subprocess.run(
                [
                    *(sys.executable, "-m", "pip", "download", "-qqq", "--disable-pip-version-check"),
                    *(
                        "--no-binary",
                        ":all:",
                        "--no-deps",
                        "--ignore-requires-python",
                        "--dest",
                        str(PLACE),
                        f"{package}=={version}",
                    ),
                ],
                check=True,
            )
        with tarfile.open(archive) as file:
            file.extractall(PLACE, filter="data")
    return folder
