"""`manage.py up` as its user sees it: real processes, real signals, real ways to fail."""

import re
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import psycopg
import pytest
from pytest_django import Settings

from messaging.management.commands import up as up_command
from messaging.standalone.embedded import EmbeddedServer
from messaging.standalone.site import CannotStart, Plan, check_redis
from tests.commands import run
from tests.postgres import PostgresServer
from tests.processes import Process, children_of, exists, plain_environment, python, queued
from tests.servers import TestServer, free_port
from tests.sites import Database
from tests.sse import Listening
from tests.waiting import PATIENCE, assert_within, eventually

READY = r"Live log +(http://\S+)messages/"

StartUp = Callable[..., Process]


@pytest.fixture
def up(short_directory: Path) -> Iterator[StartUp]:
    """Starts `manage.py up` on a free port and in a directory of its own; `database_copy` spares the migrations."""
    started: list[Process] = []

    def start(*arguments: str, **env: str) -> Process:
        base = plain_environment(VAR_DIR=str(short_directory), PORT="0")
        started.append(Process(python("manage.py", "up", *arguments), env=base | env))
        return started[-1]

    yield start
    for process in started:
        process.clean_up()


def site_url(process: Process) -> str:
    return process.wait_for(READY)[1]


def parts(process: Process, name: str) -> list[int]:
    """The pids of those that have begun to be a part of that name."""
    words = {
        "valkey": "valkey-server",
        "web": "messaging.standalone.webserver",
        "listen": "django listen",
        "work": "django work",
    }
    found = children_of(process.pid)
    return [pid for pid, line in found.items() if words[name] in line and "tether" not in line]


def part(process: Process, name: str) -> int:
    """The pid of a part; fails when there are none or two."""
    pids = parts(process, name)
    assert len(pids) == 1, children_of(process.pid)
    return pids[0]


def test_first_run_makes_an_admin_and_serves_until_ctrl_c(up: StartUp, short_directory: Path) -> None:
    process = up()
    url = site_url(process)
    password = process.wait_for(r"Log in +admin / (\S+)")[1]
    assert re.search(r"migrations applied", process.stderr)
    with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
        assert client.get("/readyz").json() == {
            "ready": True,
            "parts": dict.fromkeys(("database", "migrations", "redis", "listener", "workers"), "ok"),
        }
        client.get("/admin/login/")
        form = {"username": "admin", "password": password, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
        reply = client.post("/admin/login/?next=/admin/", data=form)
        assert (reply.status_code, reply.headers["location"]) == (302, "/admin/")
    pids = list(children_of(process.pid))
    assert len(pids) == 4
    process.signal(signal.SIGINT)
    assert process.wait() == 0, process.output
    assert not [pid for pid in pids if exists(pid)]
    assert not (short_directory / "valkey.sock").exists()


def rows(database: Database, table: str) -> int:
    with closing(sqlite3.connect(database.path)) as connection:
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(count)


def test_second_run_is_up_within_three_seconds_and_keeps_what_there_was(
    up: StartUp, database_copy: Database, short_directory: Path
) -> None:
    first = up()
    site_url(first)
    with TestServer.connect(short_directory / "valkey.sock") as client:
        client.set("kept", "yes")
        client.publish("updates", "stored before the end")
    eventually(lambda: rows(database_copy, "messaging_message") == 1)
    assert first.terminate() == 0

    def start_again() -> float:
        began = time.monotonic()
        again = up()
        site_url(again)
        took = time.monotonic() - began - queued(again.pid)
        assert "Log in" not in again.output  # there is a user already
        with TestServer.connect(short_directory / "valkey.sock") as client:
            assert client.get("kept") == b"yes"
            client.publish("updates", "stored after it")
        eventually(lambda: rows(database_copy, "messaging_message") >= 2)
        assert again.terminate() == 0
        return took

    assert_within(3.0, start_again)
    assert rows(database_copy, "messaging_gap") == 0  # an end in order is no reason to suspect a loss


def test_parts_that_are_killed_come_back(up: StartUp, database_copy: Database) -> None:
    process = up()
    url = site_url(process)
    names = ("web", "listen", "work", "valkey")
    before = {name: eventually(lambda name=name: part(process, name)) for name in names}
    for name, pid in before.items():
        subprocess.run(["kill", "-9", str(pid)], check=True)
        process.wait_for(rf"{name} ended by SIGKILL; starting it again in 0.5 s \(1 of 5\)")
    for name, pid in before.items():
        eventually(lambda name=name, pid=pid: parts(process, name) not in ([], [pid]))
    # The socket stays open all the time: a question waits for the new web process.
    eventually(lambda: httpx.get(f"{url}readyz", timeout=PATIENCE, trust_env=False).status_code == 200)
    assert process.terminate() == 0


def test_an_open_live_page_does_not_hold_up_the_drain(up: StartUp, database_copy: Database) -> None:
    process = up("--drain", "20")
    url = site_url(process)
    cookies = {"sessionid": database_copy.session}
    with (
        httpx.Client(base_url=url, cookies=cookies, trust_env=False, timeout=20) as client,
        client.stream("GET", "/messages/stream") as reply,
    ):
        assert reply.status_code == 200
        lines = reply.iter_lines()
        assert any(line == "event: live" for line in lines)
        process.signal(signal.SIGTERM)
        assert any(line == "event: bye" for line in lines)
        assert process.wait() == 0


@pytest.mark.once
def test_killed_up_leaves_nothing_and_the_next_one_works(
    up: StartUp, database_copy: Database, short_directory: Path
) -> None:
    first = up()
    site_url(first)
    pids = list(children_of(first.pid))
    first.kill()
    second = up()  # while the first one's server may still be writing
    site_url(second)
    eventually(lambda: not [pid for pid in pids if exists(pid)], message="the children of a killed `up` end")
    assert second.terminate() == 0


@pytest.mark.once
def test_a_server_that_lives_on_is_adopted_and_stopped(
    up: StartUp, database_copy: Database, short_directory: Path
) -> None:
    server = EmbeddedServer(short_directory / "valkey", socket=short_directory / "valkey.sock")
    server.start()
    server.wait_ready()
    process = up()
    site_url(process)
    assert server.pid not in children_of(process.pid)
    assert len(children_of(process.pid)) == 3
    assert process.terminate() == 0
    assert not server.alive()


@pytest.mark.once
def test_stale_socket_is_replaced(up: StartUp, database_copy: Database, short_directory: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(short_directory / "valkey.sock"))
    short_directory.chmod(0o755)
    process = up()
    site_url(process)
    assert f"{short_directory} can be read by other users of this machine: chmod 700" in process.stderr
    assert process.terminate() == 0


@pytest.mark.once
def test_drain_that_takes_too_long_is_cut_with_exit_code_5(up: StartUp, database_copy: Database) -> None:
    process = up("--drain", "0.5")
    site_url(process)
    pids = list(children_of(process.pid))
    subprocess.run(["kill", "-STOP", str(part(process, "listen"))], check=True)
    assert process.terminate() == 5
    assert not [pid for pid in pids if exists(pid)]


@pytest.mark.once
def test_second_signal_ends_at_once(up: StartUp, database_copy: Database) -> None:
    process = up("--drain", "30")
    site_url(process)
    pids = list(children_of(process.pid))
    listener = part(process, "listen")
    subprocess.run(["kill", "-STOP", str(listener)], check=True)
    process.signal(signal.SIGINT)
    eventually(lambda: len(children_of(process.pid)) < 3, message="the drain has begun")
    time.sleep(0.4)  # a person's second Ctrl-C: less than 0.3 s apart is taken for the same one
    process.signal(signal.SIGINT)
    assert process.wait() == 130
    assert not [pid for pid in pids if exists(pid)]


@pytest.mark.once
def test_redis_url_is_used_instead_of_a_server_of_its_own(
    up: StartUp, database_copy: Database, broker: TestServer, short_directory: Path
) -> None:
    process = up(REDIS_URL=broker.tcp_url)
    site_url(process)
    assert len(children_of(process.pid)) == 3
    assert f"redis-cli -h 127.0.0.1 -p {broker.port} PUBLISH" in process.stdout
    assert not (short_directory / "valkey").exists()
    assert process.terminate() == 0
    assert broker.client().ping()


@pytest.mark.postgres
def test_postgresql_by_url_and_streams_hold_no_connection_to_it(
    up: StartUp, postgres: PostgresServer
) -> None:
    database = postgres.create_database("up")
    process = up(DATABASE_URL=database)
    password = process.wait_for(r"Log in +admin / (\S+)")[1]
    url = site_url(process)
    with ExitStack() as stack, httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
        assert client.get("readyz").json()["ready"]
        client.get("/accounts/login/")
        form = {"username": "admin", "password": password, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
        assert client.post("/accounts/login/", data=form).status_code == 302
        for _ in range(10):
            another = httpx.Client(base_url=url, cookies=client.cookies, timeout=PATIENCE, trust_env=False)
            stack.enter_context(Listening(another)).live()

        def asked_for_sessions() -> int:
            """The connections whose last question was about who somebody is; the listener never asks that."""
            with psycopg.connect(database) as connection:
                rows = connection.execute(
                    "SELECT query FROM pg_stat_activity WHERE datname = 'up' AND pid != pg_backend_pid()"
                ).fetchall()
            return sum("django_session" in query or "auth_user" in query for (query,) in rows)

        eventually(lambda: asked_for_sessions() == 0)
    assert process.terminate() == 0


# -- what cannot start says so, and exits with 3


@pytest.mark.once
def test_unreachable_redis_is_named_without_its_password(up: StartUp) -> None:
    process = up(REDIS_URL=f"redis://me:s3cret@127.0.0.1:{free_port()}/0")
    assert process.wait() == 3
    assert re.search(
        r"Redis at redis://me:\*\*\*@127\.0\.0\.1:\d+/0 is not usable: .*refused", process.stderr
    )
    assert "s3cret" not in process.output


def test_silent_redis_is_given_up_after_two_seconds(settings: Settings) -> None:
    def took() -> float:
        began = time.monotonic()
        with pytest.raises(CannotStart, match="is not usable"):
            check_redis()
        return time.monotonic() - began

    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.MESSAGING = {"URL": f"redis://127.0.0.1:{silent.getsockname()[1]}/0"}
        assert_within(2.2, took)


@pytest.mark.once
@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost/", "redis://localhost:port/0"])
def test_malformed_redis_url(up: StartUp, url: str) -> None:
    process = up(REDIS_URL=url)
    assert process.wait() == 3
    assert "Traceback" not in process.stderr
    assert "is not a Redis URL" in process.stderr


@pytest.mark.once
def test_taken_port(up: StartUp, short_directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = up(PORT=str(port))
        assert process.wait() == 3
    assert f"port {port} on 127.0.0.1 is taken: choose another one, with --port or as in PORT={port + 1}" in (
        process.stderr
    )
    assert not (short_directory / "valkey").exists()  # nothing was started


@pytest.mark.parametrize(
    ("option", "setting", "environment", "expected"),
    [
        ("8001", 8002, "8003", 8001),
        ("", 8002, "8003", 8002),
        ("", "8002", "8003", 8002),
        ("", None, "8003", 8003),
        ("", None, "", 8000),
        ("", None, None, 8000),
    ],
)
def test_the_port_is_the_options_the_settings_or_the_environments(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    setting: str | int | None,
    environment: str | None,
    expected: int,
) -> None:
    plans: list[Plan] = []
    monkeypatch.setattr(up_command, "run", lambda plan, **_: plans.append(plan) or 0)
    del settings.PORT
    if setting is not None:
        settings.PORT = setting
    monkeypatch.delenv("PORT", raising=False)
    if environment is not None:
        monkeypatch.setenv("PORT", environment)
    assert run("up", *(["--port", option] if option else [])).code == 0
    assert [plan.port for plan in plans] == [expected]


@pytest.mark.once
@pytest.mark.parametrize("port", ["http", "-1", "65536", "80.5"])
def test_bad_port(up: StartUp, port: str) -> None:
    process = up(PORT=port)
    assert process.wait() == 2
    assert f"PORT must be a number from 0 to 65535, not '{port}'" in process.stderr


@pytest.mark.once
def test_socket_path_that_is_too_long(up: StartUp, short_directory: Path) -> None:
    process = up(VAR_DIR=str(short_directory / ("d" * 100)))
    assert process.wait() == 3
    assert re.search(
        r"the path of the embedded server's socket has \d+ bytes and the system allows \d+", process.stderr
    )


@pytest.mark.once
def test_one_directory_runs_once(up: StartUp, database_copy: Database) -> None:
    first = up()
    site_url(first)
    second = up()
    assert second.wait() == 3
    assert f"the site already runs on {database_copy.path.parent} (process {first.pid})" in second.stderr
    assert len(children_of(first.pid)) == 4
    assert first.terminate() == 0


@pytest.mark.once
def test_database_that_does_not_answer(up: StartUp) -> None:
    process = up(DATABASE_URL=f"postgres://me:s3cret@127.0.0.1:{free_port()}/none")
    assert process.wait() == 3
    assert "the database is not usable" in process.stderr
    assert "s3cret" not in process.output


@pytest.mark.once
def test_directory_that_is_a_file(up: StartUp, short_directory: Path) -> None:
    (short_directory / "file").touch()
    process = up(VAR_DIR=str(short_directory / "file"))
    assert process.wait() == 3
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize("text", ["nan", "-1", "soon"])
def test_a_drain_of_no_span_is_refused(text: str) -> None:
    ran = run("up", f"--drain={text}")
    assert ran.code == 2
    assert f"not a number of seconds from 0 to 1,000,000: '{text}'" in ran.err
