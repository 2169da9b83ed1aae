"""The site's settings -> the same for tests inside the test process.

Started processes (tests/processes.py) run with broker_site.settings itself and an environment of their own.
"""

import os
import tempfile
from pathlib import Path

# Unix sockets need a short path, and every pytest-xdist worker a directory of its own. conftest.py removes it.
_VAR = tempfile.mkdtemp(prefix="mt-", dir="/tmp")
os.environ |= {"VAR_DIR": _VAR, "SECRET_KEY": "for the tests only", "DEBUG": "false", "LOG_LEVEL": "DEBUG"}
os.environ.pop("REDIS_URL", None)

from broker_site.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
# A file, not :memory:, so that threads queue for the write lock as processes do in production.
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    DATABASES["default"]["TEST"] = {"NAME": str(Path(_VAR) / "test.sqlite3")}  # noqa: F405
# Nobody listens there: a test that needs a server asks for the `broker` fixture.
# A machine that runs many tests at once may hold a process up for a second: tests of the budget set their own.
MESSAGING = {"URL": f"unix://{_VAR}/nobody.sock?db=0", "PUBLISH_BUDGET": 10.0}
