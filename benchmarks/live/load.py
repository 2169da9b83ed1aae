"""Commands on stdin -> a thousand open streams, read and counted. One process, epoll, bare sockets: no HTTP client
would be light enough to run beside the server that is measured.

    python -m benchmarks.live.load PORT REQUEST READY

REQUEST is what each stream sends, READY what its answer holds once it is open. Each message holds one ``~`` and its
sending time: ``"~":NS``. Answers are JSON lines:

    open N SECONDS       so many more streams; when all are open, or it is too late
    expect N SECONDS     from now on, until each stream has had N messages
    wait                 ... when that is so, or no more come; with the delays in milliseconds
    alive                how many streams are open
    ended SECONDS        until the server has ended all
    close                leave
"""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import select
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

SENT = re.compile(rb'"~": ?(\d+)[,}]')
READ_BYTES = 1 << 18
SILENCE = 5.0  # seconds without a message: what has not come by then is lost


class Stream:
    """One open connection."""

    __slots__ = ("count", "greeting", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.greeting: bytes | None = b""  # None once it is open
        self.count = 0


class Load:
    def __init__(self, port: int, request: bytes, ready: bytes) -> None:
        self.address = ("127.0.0.1", port)
        self.request, self.ready = request, ready
        self.epoll = select.epoll()
        self.streams: dict[int, Stream] = {}
        self.opened = self.complete = self.ended = self.due = 0
        self.expected = 0
        self.delays: list[int] = []
        self.began = 0.0
        self.until = 0.0
        self.came = 0.0  # when the last message came
        self.buffer = bytearray(READ_BYTES)

    # -- the loop

    def run(self, done: Callable[[], bool], seconds: float) -> float:
        """Read until ``done()`` or too late; how long that took."""
        began = time.monotonic()
        while not done() and time.monotonic() - began < seconds:
            self.step(0.05)
        return time.monotonic() - began

    def step(self, timeout: float) -> bool:
        """Whether there is a command to be read."""
        command = False
        for fd, event in self.epoll.poll(timeout, 512):
            if fd == 0:
                command = True
                continue
            stream = self.streams.get(fd)
            if stream is None:
                continue
            if event & select.EPOLLOUT:
                self._connected(fd, stream)
            elif stream.greeting is not None:
                self._greeted(fd, stream)
            else:
                self._read(fd, stream)
        return command

    def _connected(self, fd: int, stream: Stream) -> None:
        try:
            stream.sock.send(self.request)
            self.epoll.modify(fd, select.EPOLLIN)
        except OSError:
            self._drop(fd, stream)

    def _greeted(self, fd: int, stream: Stream) -> None:
        part = self._receive(stream)
        if not part:
            self._drop(fd, stream)
            return
        stream.greeting = (stream.greeting or b"") + bytes(memoryview(self.buffer)[:part])
        if self.ready in stream.greeting:
            stream.greeting = None
            self.opened += 1

    def _read(self, fd: int, stream: Stream) -> None:
        size = self._receive(stream)
        if not size:
            self._drop(fd, stream)
            return
        found = self.buffer.count(b"~", 0, size)
        if not found:
            return
        if found < 3:  # a burst is not about delays
            now = time.monotonic_ns()
            self.delays += [now - int(sent) for sent in SENT.findall(memoryview(self.buffer)[:size])]
        self.came = time.monotonic()
        before = stream.count
        stream.count += found
        if before < self.expected <= stream.count:
            self.complete += 1

    def _receive(self, stream: Stream) -> int:
        try:
            return stream.sock.recv_into(self.buffer)
        except OSError:
            return 0

    def _drop(self, fd: int, stream: Stream) -> None:
        self.ended += 1
        del self.streams[fd]
        stream.sock.close()

    # -- commands

    def open(self, count: float, seconds: float) -> dict[str, Any]:
        target = self.opened + int(count)
        began = time.monotonic()
        for _ in range(int(count)):
            sock = socket.socket()
            sock.setblocking(False)
            if sock.connect_ex(self.address) not in (0, errno.EINPROGRESS):
                raise SystemExit("cannot connect")
            self.streams[sock.fileno()] = Stream(sock)
            self.epoll.register(sock.fileno(), select.EPOLLOUT)
        self.run(lambda: self.opened >= target, seconds)
        return {"open": self.opened - target + int(count), "seconds": time.monotonic() - began}

    def expect(self, count: float, seconds: float) -> dict[str, Any]:
        for stream in self.streams.values():
            stream.count = 0
        self.expected, self.complete, self.delays = int(count), 0, []
        self.began = time.monotonic()
        self.until = self.began + seconds
        return {}

    def wait(self) -> dict[str, Any]:
        self.came = time.monotonic()
        self.run(self._all_or_nothing_more, self.until - time.monotonic())
        took = time.monotonic() - self.began
        delays = sorted(self.delays)
        return {
            "complete": self.complete,
            "delivered": sum(stream.count for stream in self.streams.values()),
            "seconds": took,
            "delays": {str(q): delays[int(len(delays) * q / 100)] / 1e6 for q in (50, 99)} if delays else {},
        }

    def _all_or_nothing_more(self) -> bool:
        return self.complete >= len(self.streams) or time.monotonic() - self.came > SILENCE

    def alive(self) -> dict[str, Any]:
        self.run(lambda: False, 0.1)
        return {"open": len(self.streams)}

    def ended_(self, seconds: float) -> dict[str, Any]:
        took = self.run(lambda: not self.streams, seconds)
        return {"open": len(self.streams), "seconds": took}

    def close(self) -> dict[str, Any]:
        for fd, stream in list(self.streams.items()):
            self._drop(fd, stream)
        self.opened = 0
        return {}


def main(port: str, request: str, ready: str) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    load = Load(int(port), request.encode(), ready.encode())
    os.set_blocking(0, False)
    load.epoll.register(0, select.EPOLLIN)
    commands = {"ended": load.ended_} | {
        name: getattr(load, name) for name in ("open", "expect", "wait", "alive", "close")
    }
    while True:
        if not load.step(0.5):
            continue
        line = os.read(0, 1000).decode()
        if not line:
            return
        name, *numbers = line.split()
        print(json.dumps(commands[name](*map(float, numbers))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
