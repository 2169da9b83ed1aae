"""``PORT RATE SECONDS`` a line -> a JSON line of response times in milliseconds. A process of its own.

Requests are sent when they are due, whether or not the one before was slow: a slow one makes the next wait, and that
wait counts.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import time

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def respond(connection: socket.socket) -> None:
    """One request, its whole response read."""
    connection.sendall(REQUEST)
    reply = b""
    while b"\r\n\r\n" not in reply:
        reply += (chunk := connection.recv(65536))
        if not chunk:
            raise SystemExit(f"the site hung up: {reply[:500]!r}")
    head, _, body = reply.partition(b"\r\n\r\n")
    found = LENGTH.search(head)
    if found is None or not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"not what was asked for: {reply[:500]!r}")
    missing = int(found[1]) - len(body)
    while missing > 0:
        missing -= len(connection.recv(65536))


def run(port: int, rate: float, seconds: float) -> list[float]:
    """Response times at a steady rate."""
    times = []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(10):  # the first ones open what has to be opened
            respond(connection)
        due = time.perf_counter()
        for _ in range(int(rate * seconds)):
            began = time.perf_counter()
            if began < due:
                time.sleep(due - began)
                began = time.perf_counter()
            else:
                began = due
            respond(connection)
            times.append((time.perf_counter() - began) * 1000)
            due += 1 / rate
    return times


if __name__ == "__main__":
    for line in sys.stdin:
        port, rate, seconds = line.split()
        print(json.dumps(run(int(port), float(rate), float(seconds))), flush=True)
