"""A server that is told to stop stops, however many pages are open, and its clients hear of it."""

import signal
import threading

import pytest

from tests.live_sites import DJANGO_ALONE, UVICORN, live_site
from tests.servers import TestServer
from tests.sites import Database
from tests.sse import parse
from tests.test_stream_limits import body_of, read_until

STREAMS = 100


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "command",
    [UVICORN, (*UVICORN[:-1], "--lifespan", "off", "--fd"), DJANGO_ALONE],
    ids=["uvicorn", "no lifespan", "django alone"],
)
def test_a_signal_ends_a_hundred_streams_at_once(
    broker: TestServer, database_template: Database, number: int, command: tuple[str, ...]
) -> None:
    with live_site(database_template, broker.url, command=command) as site:
        socks = [site.connect() for _ in range(STREAMS)]
        # one of them reads nothing from now on
        seen = [read_until(sock, b"event: live") for sock in socks]
        site.web.signal(number)
        code = site.web.wait(30)  # how soon is measured by `make bench-live`
        retries = set()
        for sock, before in zip(socks, seen, strict=True):
            with sock:
                while part := sock.recv(65536):
                    before += part
            bye = parse(body_of(before))[-1]
            assert (bye.name, bye.data) == ("bye", {"reason": "shutdown"})
            retries.add(bye.retry)
        assert code in (0, -number)
        assert len(retries) > STREAMS / 2
        assert "Traceback" not in site.web.output


def test_streams_that_nobody_reads_do_not_hold_the_server(
    broker: TestServer, database_template: Database
) -> None:
    from messaging.publisher import publish_many

    with live_site(database_template, broker.url, LIVE_RING=50_000) as site:
        socks = [site.connect(receive_buffer=4096) for _ in range(5)]
        for sock in socks:
            read_until(sock, b"event: live")
        for _ in range(20):
            publish_many([("big", {"x": "x" * 7000}) for n in range(100)])
        with site.listen("big").live():
            assert site.web.terminate() in (0, -signal.SIGTERM)
        assert "Traceback" not in site.web.output
        for sock in socks:
            sock.close()


def test_the_server_does_not_wait_for_a_redis_that_hangs(
    broker: TestServer, database_template: Database
) -> None:
    with live_site(database_template, broker.url) as site, site.listen().live() as stream:
        broker.signal(signal.SIGSTOP)
        try:
            timer = threading.Timer(29, broker.signal, [signal.SIGCONT])
            timer.start()
            assert site.web.terminate() in (0, -signal.SIGTERM)
            assert timer.is_alive()
            timer.cancel()
        finally:
            broker.signal(signal.SIGCONT)
        assert stream.named("bye")[0].data == {"reason": "shutdown"}
