"""Settings -> everything that the site needs, running in one terminal: what ``manage.py up`` does.

Embedded Valkey unless the settings name another server, migrations, an admin on the first run, web server, listener.
What cannot work is found before it is needed, and said in a sentence: see :class:`CannotStart`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import redis
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.migrations.executor import MigrationExecutor

from messaging import connection, keys
from messaging.conf import conf
from messaging.errors import MessagingError
from messaging.standalone.child import Child
from messaging.standalone.embedded import EmbeddedServer, EmbeddedServerError
from messaging.standalone.readiness import Readiness
from messaging.standalone.supervisor import Supervisor
from messaging.standalone.watching import Watcher
from messaging.taskqueue.seam import DEFAULT_TASK_BACKEND_ALIAS
from messaging.taskqueue.worker.backends import aliases

REDIS_SECONDS = 2.0  # for a server that the settings name to answer

ADMIN = "admin"


class CannotStart(Exception):
    """Something that the site needs is not there; the message is a sentence for people."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run and where. ``embedded`` is the socket of a server of our own, None to use the one of the settings;
    ``directory`` holds what is kept, ``project`` is the folder that the site's packages are imported from. ``reload``:
    parts start again when the code in it changes."""

    host: str
    port: int
    directory: Path
    project: Path
    embedded: Path | None
    drain_seconds: float
    reload: bool = False


@dataclass(frozen=True, slots=True)
class Up:
    """A site that is ready. ``password`` is that of a new user ``admin``, else empty."""

    url: str
    password: str
    seconds: float


def run(plan: Plan, *, say: Callable[[str, str], None], ready: Callable[[Up], None]) -> int:
    """Runs the site until a signal. ``say`` gets (part, line) as things happen, ``ready`` is called once.

    Returns 0 drained, 1 a part could not be kept alive, 3 one cannot start, 5 the drain timed out, 130 ended at once.
    Raises CannotStart, with nothing left running.
    """
    began = time.monotonic()
    with (
        closing(listen_on(plan.host, plan.port)) as listening,
        closing(only_one(plan.directory)),
        Supervisor(say, drain_seconds=plan.drain_seconds, patient=plan.reload) as supervisor,
    ):
        try:
            if exposed(plan.directory):
                say(
                    "",
                    f"{plan.directory} can be read by other users of this machine: chmod 700 {plan.directory}",
                )
            server = start_redis(plan, supervisor)
            if applied := migrate():
                say("", f"database: {applied} migrations applied")
            if server:
                server.wait_ready()
            address = listening.getsockname()[:2]
            readiness = Readiness(reachable(*address), host=allowed_host())
            watcher = Watcher(plan.project, leaving_out=[plan.directory]) if plan.reload else None

            def tick() -> None:
                if watcher is not None and (name := watcher.changed()):
                    say("", f"{name} has changed")
                    supervisor.renew(*(child.name for child in children(plan, listening)))
                if readiness.news():
                    supervisor.start(*workers(plan))  # not sooner: the page is there first
                    ready(Up(f"http://{authority(*address)}/", first_admin(), time.monotonic() - began))
                elif reasons := readiness.overdue():
                    say("", f"not ready yet: {reasons}")

            if not supervisor.stopping:
                supervisor.start(*children(plan, listening))
                readiness.start()
            code = supervisor.run(tick, every=0.1)
            readiness.stop()
            return code
        except EmbeddedServerError as error:
            raise CannotStart(str(error)) from error
        except KeyboardInterrupt:
            return supervisor.stop()
        finally:
            supervisor.stop()


# -- what must be there


def listen_on(host: str, port: int) -> socket.socket:
    """The site's socket, opened first: a taken port is found before anything runs."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotStart(
                f"port {port} on {host} is taken: choose another one, with --port or as in PORT={port + 1}"
            ) from error
        raise CannotStart(f"cannot listen on port {port} of {host}: {error.strerror or error}") from error


def only_one(directory: Path) -> IO[str]:
    """A lock, held as long as the file is open: two of these in one directory would stop each other's server."""
    try:
        directory.mkdir(
            mode=0o700, parents=True, exist_ok=True
        )  # for sessions and messages, nobody else's business
        file = (directory / "up.lock").open("a+")
    except OSError as error:
        raise CannotStart(f"{directory} must be a folder that can be written ({error.strerror})") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        raise CannotStart(f"the site already runs on {directory} (process {holder}): end it first") from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def exposed(directory: Path) -> bool:
    """May others look into it? Then they can take a session out of the database, and be who began it."""
    return bool(directory.stat().st_mode & (stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH))


class OwnServer(EmbeddedServer):
    """The embedded server of this site. It is the last to be ended, and leaves word of it: the next listener need not
    suspect that a server with another run id has crashed and lost what it had not written yet."""

    def signal(self, number: int) -> None:
        if number == signal.SIGTERM:
            with suppress(redis.RedisError, MessagingError):
                client = connection.client(timeout=1.0)
                client.set(keys.ended_in_order(), client.info("server")["run_id"])
        super().signal(number)


def start_redis(plan: Plan, supervisor: Supervisor) -> EmbeddedServer | None:
    """The embedded server, started, or None when the one of the settings answers."""
    if plan.embedded is None:
        check_redis()
        return None
    server = OwnServer(plan.directory / "valkey", socket=plan.embedded)
    try:
        supervisor.start(server)
    except OSError as error:
        raise CannotStart(f"the embedded server cannot run in {plan.directory}: {error}") from error
    return server


def check_redis() -> None:
    """Returns when the server of the settings answers PING; raises CannotStart after two seconds at the latest."""
    failure = [f"no answer within {REDIS_SECONDS:g} s"]

    def ping() -> None:
        try:
            connection.client(timeout=REDIS_SECONDS).ping()
            failure.clear()
        except (redis.RedisError, MessagingError, OSError, ValueError) as error:
            failure[:] = [str(error)]

    # A thread, since no time-out reaches into the resolver of host names.
    thread = threading.Thread(target=ping, daemon=True)
    thread.start()
    thread.join(REDIS_SECONDS)
    for reason in failure:
        raise CannotStart(
            f"Redis at {connection.where()} is not usable: {reason}. Start it or correct REDIS_URL; "
            "without REDIS_URL, a server is brought along"
        )


def migrate() -> int:
    """Applies what is not applied yet; returns how many migrations that were."""
    try:
        applied = 0
        for alias in {DEFAULT_DB_ALIAS, conf.DATABASE}:
            executor = MigrationExecutor(connections[alias])
            if missing := len(executor.migration_plan(executor.loader.graph.leaf_nodes())):
                call_command("migrate", database=alias, interactive=False, verbosity=0)
                applied += missing
    except Error as error:
        raise CannotStart(f"the database is not usable: {str(error).strip()}") from error
    finally:
        connections.close_all()
    return applied


def first_admin() -> str:
    """Makes the user ``admin`` when there is no user at all, and returns its random password; else returns ""."""
    users = get_user_model()._default_manager
    try:
        if users.exists() or not hasattr(users, "create_superuser"):
            return ""
        password = secrets.token_urlsafe(12)
        users.create_superuser(ADMIN, password=password)
    finally:
        connections.close_all()
    return password


# -- what runs


def children(plan: Plan, listening: socket.socket) -> list[Child]:
    """The site's own processes."""
    descriptor = listening.fileno()
    web = [
        sys.executable,
        "-m",
        "messaging.standalone.webserver",
        str(descriptor),
        str(plan.drain_seconds / 2),
    ]
    made = [Child("web", web, cwd=plan.project, pass_fds=[descriptor])]
    if not conf.LISTEN_IN_WEB:
        made.append(Child("listen", [sys.executable, "-m", "django", "listen"], cwd=plan.project))
    return made


def workers(plan: Plan) -> list[Child]:
    """A worker for each backend of tasks that is ours."""
    made = []
    for alias in aliases():
        arguments = ["--backend", alias, "--drain-seconds", f"{plan.drain_seconds * 0.8:g}"]
        arguments += ["--reload"] if plan.reload else []
        name = "work" if alias == DEFAULT_TASK_BACKEND_ALIAS else f"work {alias}"
        made.append(Child(name, [sys.executable, "-m", "django", "work", *arguments], cwd=plan.project))
    return made


def reachable(host: str, port: int) -> tuple[str, int]:
    """Where this machine reaches a socket that may be bound to all interfaces."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104 - compared, not bound


def authority(host: str, port: int) -> str:
    """The part of a URL between the slashes."""
    host, port = reachable(host, port)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def allowed_host() -> str:
    """A Host header that the site accepts."""
    named = [host.lstrip(".") for host in settings.ALLOWED_HOSTS if host != "*"]
    return named[0] if named else "localhost"
