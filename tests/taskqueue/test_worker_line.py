"""The connection that a worker process keeps for its queues."""

import hiredis

from messaging.taskqueue.worker.line import Line
from tests.servers import TestServer

PING = hiredis.pack_command(("PING",))


def test_a_server_that_was_started_again_meanwhile_is_no_outage(broker: TestServer) -> None:
    line = Line(timeout=2.0)
    for _ in range(3):
        assert line.call(PING) in (b"PONG", "PONG")
        broker.restart()
    assert line.call(PING) in (b"PONG", "PONG")
