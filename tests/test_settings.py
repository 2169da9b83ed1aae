"""The environment -> settings, each case in a process of its own, as the site reads it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import environ
import pytest
from django.core.exceptions import ImproperlyConfigured

from broker_site.addresses import cache_url, database
from broker_site.values import boolean, seconds
from tests.processes import ROOT, plain_environment, python

_SHOW = """
import json, sys
import django
django.setup()
from django.conf import settings
print(json.dumps({name: getattr(settings, name) for name in sys.argv[1:]}, default=str))
"""


def environment(directory: Path, **env: str) -> dict[str, str]:
    base = plain_environment(VAR_DIR=str(directory), DJANGO_SETTINGS_MODULE="broker_site.settings")
    del base["SECRET_KEY"]
    return base | env


def settings_of(directory: Path, *names: str, **env: str) -> dict[str, Any]:
    command = python("-c", _SHOW, *names)
    made = subprocess.run(
        command, env=environment(directory, **env), cwd=ROOT, check=True, capture_output=True, timeout=60
    )
    shown: dict[str, Any] = json.loads(made.stdout)
    return shown


def refusal(directory: Path, **env: str) -> str:
    """What `manage.py check` says when it cannot start."""
    command = python("manage.py", "check")
    made = subprocess.run(
        command, env=environment(directory, **env), cwd=ROOT, capture_output=True, timeout=60
    )
    assert made.returncode == 3, made.stderr.decode()
    assert b"Traceback" not in made.stderr
    return made.stderr.decode()


def test_defaults_are_safe_and_need_nothing(short_directory: Path) -> None:
    found = settings_of(
        short_directory,
        "DEBUG",
        "ALLOWED_HOSTS",
        "MESSAGING",
        "CACHES",
        "DATABASES",
        "EMBEDDED_SOCKET",
        "SECRET_KEY",
    )
    assert found["DEBUG"] is False
    assert found["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]"]
    assert found["MESSAGING"]["URL"] == f"unix://{short_directory}/valkey.sock?db=0"
    assert found["CACHES"]["default"]["LOCATION"] == f"unix://{short_directory}/valkey.sock?db=1"
    assert found["EMBEDDED_SOCKET"] == f"{short_directory}/valkey.sock"
    database = found["DATABASES"]["default"]
    assert database["NAME"] == f"{short_directory}/db.sqlite3"
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    kept = short_directory / "secret_key"
    assert len(found["SECRET_KEY"]) >= 50
    assert found["SECRET_KEY"] == kept.read_text().strip()
    assert kept.stat().st_mode & 0o777 == 0o600


def test_what_it_keeps_is_for_its_owner_alone(short_directory: Path) -> None:
    settings_of(short_directory / "var", "DEBUG")
    assert (short_directory / "var").stat().st_mode & 0o777 == 0o700


def test_processes_that_start_together_agree_on_a_key(short_directory: Path) -> None:
    command = python("-c", "from broker_site.settings import SECRET_KEY; print(SECRET_KEY)")
    together = [
        subprocess.Popen(
            command, env=environment(short_directory), cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    assert len({process.communicate(timeout=60)[0] for process in together}) == 1
    assert sorted(path.name for path in short_directory.glob("secret*")) == ["secret_key"]


def test_the_environment_wins(short_directory: Path) -> None:
    found = settings_of(
        short_directory,
        *("DEBUG", "ALLOWED_HOSTS", "SECRET_KEY", "CSRF_TRUSTED_ORIGINS", "PORT", "DATABASES"),
        *("MESSAGING", "EMBEDDED_SOCKET"),
        REDIS_URL="redis://localhost/7",
        DEBUG="true",
        ALLOWED_HOSTS="example.com,.example.org",
        SECRET_KEY="mine",
        CSRF_TRUSTED_ORIGINS="https://example.com",
        PORT="9000",
        DATABASE_URL="postgres://me:p%40ss@db.example:5433/orders",
    )
    assert found["MESSAGING"]["URL"] == "redis://localhost/7"
    assert found["EMBEDDED_SOCKET"] is None
    assert found["DEBUG"] is True
    assert found["ALLOWED_HOSTS"] == ["example.com", ".example.org"]
    assert found["SECRET_KEY"] == "mine"
    assert found["CSRF_TRUSTED_ORIGINS"] == ["https://example.com"]
    assert found["PORT"] == "9000"
    database = found["DATABASES"]["default"]
    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert [database[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")] == [
        *("orders", "me", "p@ss", "db.example", 5433)
    ]
    assert not (short_directory / "secret_key").exists()


@pytest.mark.parametrize(
    ("url", "cache"),
    [
        ("redis://localhost", "redis://localhost/1"),
        ("redis://localhost:6380/0", "redis://localhost:6380/1"),
        ("redis://localhost/1", "redis://localhost/2"),
        ("rediss://u:p%2Fw@h:6380/3?ssl_cert_reqs=none", "rediss://u:p%2Fw@h:6380/1?ssl_cert_reqs=none"),
        ("redis://localhost/?db=1", "redis://localhost/2"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock?db=1"),
        ("unix:///run/a%20b.sock?db=1", "unix:///run/a%20b.sock?db=2"),
        ("unix://:secret@/run/redis.sock?db=0", "unix://:secret@/run/redis.sock?db=1"),
    ],
)
def test_the_cache_never_shares_a_database_with_the_broker(url: str, cache: str) -> None:
    """Its clear() is FLUSHDB."""
    assert cache_url(url) == cache


@pytest.mark.parametrize("url", ["nonsense", "oracle9://me:s3cret@host/x", ""])
def test_database_url_that_makes_no_sense(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL must be one of") as raised:
        database(url)
    assert "s3cret" not in str(raised.value)


def test_a_directory_with_odd_letters(short_directory: Path) -> None:
    directory = short_directory / "a b%41#?é"
    found = settings_of(directory, "DATABASES", "MESSAGING")
    assert found["DATABASES"]["default"]["NAME"] == f"{directory}/db.sqlite3"
    show = "import sys, redis; print(redis.ConnectionPool.from_url(sys.argv[1]).connection_kwargs['path'])"
    path = subprocess.check_output(python("-c", show, found["MESSAGING"]["URL"]), text=True).strip()
    assert path == f"{directory}/valkey.sock"


def test_sqlite_is_set_up_for_several_writers(short_directory: Path) -> None:
    code = (
        "import django; django.setup(); from django.db import connection\n"
        "with connection.cursor() as c:\n"
        "    for name in ('journal_mode', 'synchronous', 'busy_timeout'):\n"
        "        print(c.execute(f'PRAGMA {name}').fetchone()[0])"
    )
    said = subprocess.check_output(python("-c", code), env=environment(short_directory), cwd=ROOT, text=True)
    assert said.split() == ["wal", "1", "20000"]


def test_no_place_for_a_secret_key(short_directory: Path) -> None:
    (short_directory / "file").touch()
    assert "set SECRET_KEY, or make" in refusal(short_directory / "file")


def test_values_that_cannot_be(short_directory: Path) -> None:
    (short_directory / "file").touch()
    said = refusal(short_directory, DATABASE_URL=f"sqlite:///{short_directory}/file/db.sqlite3")
    assert "there is no place for the database" in said
    assert "LOG_LEVEL must be" in refusal(short_directory, LOG_LEVEL="loud")
    assert "DATABASE_URL must be one of" in refusal(short_directory, DATABASE_URL="nonsense")
    for name, what in (
        ("PUBLISH_BUDGET", "a number of seconds above 0"),
        ("DEBUG", "true or false"),
        ("LISTEN_IN_WEB", "true or false"),
    ):
        assert f"{name} must be {what}, not 'foo'" in refusal(short_directory, **{name: "foo"})


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("On", True), ("1", True), ("FALSE", False), ("0", False), ("", False)],
)
def test_what_is_true_and_what_is_false(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    monkeypatch.setenv("LISTEN_IN_WEB", text)
    assert boolean(environ.Env(), "LISTEN_IN_WEB") is value


@pytest.mark.parametrize("text", ["nan", "-1", "0", "inf", "1 s"])
def test_what_is_no_number_of_seconds(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("PUBLISH_BUDGET", "2.5")
    assert seconds(environ.Env(), "PUBLISH_BUDGET", 1.0) == 2.5
    monkeypatch.setenv("PUBLISH_BUDGET", text)
    with pytest.raises(ImproperlyConfigured, match=f"PUBLISH_BUDGET must be .*, not '{text}'"):
        seconds(environ.Env(), "PUBLISH_BUDGET", 1.0)
