"""A line of a shell around ``manage.py`` -> how it ended: for pipes and for files that are no files."""

import shlex
import subprocess
from pathlib import Path

from tests.processes import ROOT, plain_environment, python
from tests.servers import TestServer
from tests.waiting import PATIENCE


def shell(line: str, broker: TestServer, directory: Path) -> subprocess.CompletedProcess[str]:
    """Runs ``line`` with ``manage.py`` in it; the exit code is that of the last command that failed."""
    manage = shlex.join(python("manage.py"))
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line.replace("manage.py", manage)],
        env=plain_environment(VAR_DIR=str(directory), REDIS_URL=broker.url),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
