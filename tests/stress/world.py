"""A broker and a web process on a socket that outlives it: connections wait while it is replaced."""

import http.client
import json
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.processes import Process, plain_environment, python
from tests.servers import TestServer
from tests.sites import Database
from tests.waiting import eventually

LIMITS = {
    "LIVE_RING": 1500,  # some of what a client misses is read from the log
    "LIVE_HEARTBEAT_SECONDS": 1,
    "LIVE_RECHECK_SECONDS": 1,
    "LIVE_SEND_SECONDS": 1,
    "LIVE_MAX_AGE_SECONDS": 6,
    "LIVE_MAX_STREAMS_PER_USER": 0,
    "LIVE_MAX_CONNECTS_PER_SECOND": 0,
}


class World:
    """``with`` ends it all."""

    def __init__(self, template: Database) -> None:
        self.broker = TestServer()
        self.directory = Path(tempfile.mkdtemp(prefix="mtx-", dir="/tmp"))
        self.database = template.copy_to(self.directory)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self._listening.getsockname()[1]
        self._env = plain_environment(
            VAR_DIR=str(self.directory),
            DATABASE_URL=self.database.url,
            REDIS_URL=self.broker.url,
            DJANGO_SETTINGS_MODULE="tests.tuned_settings",
            TEST_MESSAGING=json.dumps(LIMITS),
        )
        self.lives = 0
        self.web = self._start()

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *_: object) -> None:
        self.web.clean_up()
        self._listening.close()
        self.broker.remove()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _start(self) -> Process:
        self.lives += 1
        fd = self._listening.fileno()
        command = python(
            *(
                "-X",
                "faulthandler",
                "-m",
                "uvicorn",
                "tests.stress.probed:application",
                "--no-access-log",
                "--log-level",
                "error",
            ),
            *("--no-access-log", "--log-level", "error", "--fd", str(fd)),
        )
        return Process(command, env=self._env, pass_fds=[fd])

    def replace_web(self, *, kill: bool) -> float:
        """End the web process, in order or not, and start the next; seconds until the first was gone."""
        began = time.monotonic()
        if kill:
            self.web.kill()
        else:
            self.web.terminate()
        took = time.monotonic() - began
        self.web.clean_up()
        self.web = self._start()
        return took

    def probe(self) -> dict[str, Any]:
        """What the web process holds."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/probe")
            found: dict[str, Any] = json.loads(connection.getresponse().read())
            return found
        finally:
            connection.close()

    def ready(self) -> dict[str, Any]:
        def probed() -> dict[str, Any] | None:
            try:
                found = self.probe()
            except (OSError, http.client.HTTPException):
                return None
            return found if found["ready"] else None

        try:
            return eventually(probed, timeout=60, every=0.05, message="the web process answers") or {}
        except AssertionError as error:
            self.web.signal(signal.SIGABRT)  # it says where it is
            self.web.wait(30)
            raise AssertionError(f"{error}\n{self.web.output[-6000:]}") from None
