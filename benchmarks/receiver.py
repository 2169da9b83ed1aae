"""What arrives -> how long it was under way, in a process of its own: one JSON line when a message says "last".

    python -m benchmarks.receiver frames PORT SESSION      a browser's stream, read from its socket
    python -m benchmarks.receiver bare PORT                what benchmarks.bare_relay sends
    python -m benchmarks.receiver pubsub SOCKET            redis-py's pubsub.listen()

Messages hold ``"window":N,"sent":NS``; CLOCK_MONOTONIC is the same in all processes of a machine.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import time
from collections.abc import Iterator

import redis

SENT = re.compile(rb'"window":(\d+),"sent":(\d+)')
CHANNEL = "benchmark.delay"
PLAIN_CHANNEL = "benchmark.plain"


def frames(port: str, session: str) -> Iterator[bytes]:
    """What a stream yields, read by read."""
    request = f"GET /messages/stream?channel={CHANNEL}&last=0 HTTP/1.1"
    return _read(port, f"{request}\r\nHost: 127.0.0.1\r\nCookie: sessionid={session}\r\n\r\n".encode())


def bare(port: str) -> Iterator[bytes]:
    """What the bare relay sends, read by read."""
    return _read(port, b"")


def _read(port: str, request: bytes) -> Iterator[bytes]:
    with socket.create_connection(("127.0.0.1", int(port)), timeout=30) as browser:
        browser.sendall(request)
        greeting = b""
        while b"event: live" not in greeting:
            greeting += (chunk := browser.recv(65536))
            if not chunk or (request and not greeting.startswith(b"HTTP/1.1 200")):
                raise SystemExit(f"no stream: {greeting[:500]!r}")
        print("ready", flush=True)
        while chunk := browser.recv(262144):
            yield chunk


def pubsub(path: str) -> Iterator[bytes]:
    """The data of message after message."""
    subscription = redis.Redis(unix_socket_path=path).pubsub(ignore_subscribe_messages=True)
    subscription.subscribe(PLAIN_CHANNEL)
    subscription.get_message(timeout=5)
    print("ready", flush=True)
    for message in subscription.listen():
        yield message["data"]


def main(kind: str, *arguments: str) -> None:
    delays: dict[int, list[int]] = {}
    for chunk in {"frames": frames, "bare": bare, "pubsub": pubsub}[kind](*arguments):
        now = time.monotonic_ns()
        for window, sent in SENT.findall(chunk):
            delays.setdefault(int(window), []).append(now - int(sent))
        if b'"last":true' in chunk:
            print(json.dumps(delays), flush=True)
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
