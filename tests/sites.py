"""A server and a database -> the whole site as real processes: web server and listener, with an admin logged in."""

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.processes import ROOT, Process, plain_environment, python
from tests.servers import TestServer
from tests.waiting import PATIENCE, eventually

ADMIN, PASSWORD = "admin", "correct horse battery"

CSRF_TOKEN = "t" * 32

_MAKE_TEMPLATE = """
import json
import django
django.setup()
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
call_command("migrate", verbosity=0)
user = get_user_model().objects.create_superuser({name!r}, "", {password!r})
session = SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.create()
print(json.dumps(session.session_key))
"""


@dataclass(frozen=True, slots=True)
class Database:
    """A migrated SQLite file with one admin, and the key of a session in which that admin is logged in."""

    path: Path
    session: str

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def copy_to(self, directory: Path) -> "Database":
        """A copy of its own for one test."""
        directory.mkdir(parents=True, exist_ok=True)
        target = directory / "db.sqlite3"
        shutil.copyfile(self.path, target)
        return Database(target, self.session)


def make_database(directory: Path) -> Database:
    """Made by a process under the site's own settings, once for each pytest process."""
    database = Database(directory / "template.sqlite3", "")
    made = subprocess.run(
        python("-c", _MAKE_TEMPLATE.format(name=ADMIN, password=PASSWORD)),
        env=plain_environment(
            DATABASE_URL=database.url, VAR_DIR=str(directory), DJANGO_SETTINGS_MODULE="broker_site.settings"
        ),
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        timeout=60,
    )
    return Database(database.path, json.loads(made.stdout.splitlines()[-1]))


@dataclass(slots=True)
class Site:
    """A running site. ``cookies`` and ``headers`` are those of the admin's browser, good for POST as well."""

    url: str
    env: dict[str, str]
    database: Database
    broker: TestServer
    web: Process
    listener: Process

    @property
    def cookies(self) -> dict[str, str]:
        return {"sessionid": self.database.session, "csrftoken": CSRF_TOKEN}

    @property
    def headers(self) -> dict[str, str]:
        return {"X-CSRFToken": CSRF_TOKEN}

    def client(self, *, login: bool = True, timeout: float = PATIENCE) -> httpx.Client:
        """An HTTP client at the site's address; close it, or use it in a ``with``."""
        return httpx.Client(
            base_url=self.url,
            cookies=self.cookies if login else None,
            headers=self.headers if login else None,
            timeout=timeout,
            trust_env=False,
        )

    def ready(self) -> bool:
        """Whether /readyz says 200; raises AssertionError with everybody's words when it says something else."""
        try:
            reply = httpx.get(f"{self.url}/readyz", timeout=PATIENCE, trust_env=False)
        except httpx.TransportError as error:
            raise AssertionError(f"{error!r}\n{self.web.output}\n{self.listener.output}") from error
        assert reply.status_code == 200, f"{reply.text[:1000]}\n{self.web.output}\n{self.listener.output}"
        return True

    def start_listener(self) -> None:
        """Again, after a test has ended it."""
        self.listener = Process(python("manage.py", "listen"), env=self.env)


def start_web(env: dict[str, str]) -> tuple[Process, str]:
    """A web server on a free port, and its address. The socket is opened here: nobody can take the port meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        fd = listening.fileno()
        web = Process(python("-m", "messaging.standalone.webserver", str(fd), "5"), env=env, pass_fds=[fd])
        return web, f"http://127.0.0.1:{listening.getsockname()[1]}"


def _still_coming(site: Site) -> bool:
    for process in (site.web, site.listener):
        if process.popen.poll() is not None:
            raise RuntimeError(f"{process} ended with {process.wait()}:\n{process.output}")
    return True


@contextmanager
def running_site(template: Database, directory: Path, **more: str) -> Iterator[Site]:
    """A site with a broker and a database of its own; ``more`` is added to its environment."""
    broker = TestServer()
    database = template.copy_to(directory)
    env = plain_environment(
        **{
            "VAR_DIR": str(directory),
            "DATABASE_URL": database.url,
            "REDIS_URL": broker.url,
            "DJANGO_SETTINGS_MODULE": "broker_site.settings",
        }
        | more
    )
    web, url = start_web(env)
    listener = Process(python("manage.py", "listen"), env=env)
    site = Site(url, env, database, broker, web, listener)
    try:
        eventually(lambda: _still_coming(site) and site.ready(), every=0.05, message="the site is ready")
        yield site
    finally:
        site.listener.clean_up()
        site.web.clean_up()
        broker.remove()
