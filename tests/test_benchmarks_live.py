"""The benchmark of the live streams: its table, its verdicts, its crowd."""

import json
import socket
import threading

from benchmarks.live.bounds import BOUNDS
from benchmarks.live.crowd import Crowd
from benchmarks.live.server import PAYLOAD_BYTES, payload
from benchmarks.live.table import table, verdict


def test_a_payload_is_json_of_256_bytes_with_one_mark() -> None:
    for sent in (0, 10**18):
        made = payload(sent)
        assert len(made) == PAYLOAD_BYTES
        assert json.loads(made)["~"] == sent
        assert made.count(b"~") == 1


def test_a_figure_above_its_bound_is_missed_and_one_that_was_not_measured_is_no_pass() -> None:
    assert verdict("steady_cpu", 13.0) == "ok"
    assert verdict("steady_cpu", 13.1) == "MISSED"
    assert verdict("held", 4999) == "MISSED"
    assert verdict("idle", None) == "not measured"


def test_the_table_has_our_figures_with_bounds_beside_those_of_others() -> None:
    ours = {name: bound.limit for name, bound in BOUNDS.items()}
    lines = table({"this": ours, "other": {"idle": 40.0}}).splitlines()
    assert lines[0].split() == ["figure", "this", "other", "bound", "ok"]
    assert len([line for line in lines if line.endswith("ok")]) == len(BOUNDS) + 1
    (idle,) = [line for line in lines if line.startswith(BOUNDS["idle"].says)]
    assert idle.removeprefix(BOUNDS["idle"].says).split() == ["12.0", "KiB", "40.0", "KiB", "<=", "12", "ok"]


def test_the_crowd_opens_streams_and_counts_what_each_of_them_gets() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        socks: list[socket.socket] = []

        def accept() -> None:
            for _ in range(3):
                sock, _ = listening.accept()
                assert b"please" in sock.recv(100)
                sock.sendall(b"HTTP/1.1 200 OK\r\n\r\nopen")
                socks.append(sock)

        threading.Thread(target=accept).start()
        with Crowd(listening.getsockname()[1], "please", "open") as crowd:
            assert crowd.ask("open", 3, 30)["open"] == 3
            crowd.ask("expect", 2, 30)
            for sock in socks:
                sock.sendall(payload(1))
                sock.sendall(payload(2))
            answer = crowd.ask("wait")
            assert (answer["complete"], answer["delivered"]) == (3, 6)
            assert answer["delays"]["50"] > 0
            for sock in socks:
                sock.close()
            assert crowd.ask("ended", 30)["open"] == 0
