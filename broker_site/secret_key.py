"""A file -> the site's secret key, made on first use and readable by its owner only."""

import os
import secrets
from pathlib import Path


def kept_secret(path: Path) -> str:
    """The key in ``path``; when there is none yet, a random one is stored there first (mode 0600).

    Processes that start together agree on one key: the file appears whole, by a hard link, and the first one wins.
    Raises OSError when the directory cannot be written.
    """
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        pass
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(50) + "\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was faster: its key counts
    finally:
        draft.unlink(missing_ok=True)
    return path.read_text(encoding="ascii").strip()
