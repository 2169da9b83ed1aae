"""The embedded server: start, adopt, stop, and the ways in which it cannot start."""

from pathlib import Path

from tests.servers import TestServer


def test_data_survives_a_restart(broker: TestServer) -> None:
    broker.client().set("k", "v")
    broker.restart()
    assert broker.client().get("k") == b"v"


def test_empty(broker: TestServer) -> None:
    assert broker.client().dbsize() == 0
    assert Path(broker.socket).stat().st_mode & 0o077 == 0
