"""A browser in every mood: it reads, leaves, comes back with its last id, reads slowly or not at all.

Bare sockets: several hundred of them run in one process beside the server.
"""

import asyncio
import random
import re
import select
import socket
from collections.abc import Callable
from urllib.parse import urlencode

import msgspec

from tests.stress.truth import Seen, place_of

NUMBER = re.compile(rb'"n":(\d+)')
LONGEST_WAIT = 0.3  # seconds until it comes back, whatever it is told


class Client:
    """One page. ``mood``: "steady" stays until it is sent away, "storm" leaves all the time, "slow" reads slowly,
    "sleeper" reads nothing."""

    def __init__(self, port: int, session: str, patterns: tuple[str, ...], *, mood: str) -> None:
        self.patterns = patterns
        self.mood = mood
        self.seen: list[Seen] = []
        self.last_id = ""
        self.faults: list[str] = []
        self.connects = 0
        self.cut = 0  # ended by the other side without a word
        self._port, self._session = port, session
        self._stopping = False
        self._retry = 0.1

    async def run(self) -> None:
        """Until :meth:`stop`."""
        while not self._stopping:
            try:
                await self._connection()
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                self.cut += 1
            if not self._stopping:
                await asyncio.sleep(min(self._retry, LONGEST_WAIT) * random.random())

    def stop(self) -> None:
        self._stopping = True

    async def _connection(self) -> None:
        sock = socket.socket()
        if self.mood in ("slow", "sleeper"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536 if self.mood == "slow" else 4096)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(sock, ("127.0.0.1", self._port))
            self.connects += 1
            query = urlencode([*(("channel", each) for each in self.patterns), ("last", 0)])
            resume = f"Last-Event-ID: {self.last_id}\r\n" if self.last_id else ""
            head = f"GET /messages/stream?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n{resume}"
            await loop.sock_sendall(sock, f"{head}Cookie: sessionid={self._session}\r\n\r\n".encode())
            await self._read(loop, sock)
        finally:
            sock.close()

    async def _read(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        # A sleeper does not hear of an end that is queued behind what it does not read.
        stays = {"storm": random.uniform(0, 2.5), "sleeper": 8.0}.get(self.mood, 1e9)
        leaves = loop.time() + stays
        dechunk, blocks = _Dechunked(), _Blocks(self._block)
        while not self._stopping:
            if self.mood == "sleeper":
                await asyncio.sleep(0.1)
                if _hung_up(sock) or loop.time() >= leaves:
                    return
                continue
            if self.mood == "slow":
                await asyncio.sleep(0.01)
            if not await _readable(loop, sock, min(0.2, max(0.0, leaves - loop.time()))):
                if loop.time() >= leaves:
                    return
                continue
            part = sock.recv(65536 if self.mood == "slow" else 262144)
            if not part:
                return
            for body in dechunk.feed(part):
                blocks.feed(body)

    def _block(self, block: bytes) -> None:
        """One event of the stream."""
        name, id_, data = b"message", "", b""
        for line in block.split(b"\n"):
            if line.startswith(b"data: "):
                data = line[6:]
            elif line.startswith(b"id: "):
                id_ = line[4:].decode()
            elif line.startswith(b"event: "):
                name = line[7:]
            elif line.startswith(b"retry: "):
                self._retry = int(line[7:]) / 1000
        if name == b"hello":
            facts = msgspec.json.decode(data)
            if facts["resumed"] != bool(self.last_id):
                self.faults.append(f"resumed is {facts['resumed']} with {self.last_id!r}")
            if not self.last_id:
                self.last_id = facts["position"]
                self.seen.append(Seen("start", place_of(facts["position"])))
        elif name == b"message":
            number = NUMBER.search(data)
            assert number is not None, data[:300]
            self.seen.append(Seen("message", place_of(id_), int(number[1])))
        elif name == b"gap":
            if b'"reason":"reborn"' not in data:
                self.faults.append(f"a gap that nobody made: {data!r}")
            self.seen.append(Seen("gap", place_of(id_)))
        elif id_:
            self.seen.append(Seen("at", place_of(id_)))
        self.last_id = id_ or self.last_id


async def _readable(loop: asyncio.AbstractEventLoop, sock: socket.socket, seconds: float) -> bool:
    """Within so many seconds. (A ``sock_recv`` that is cancelled may have read already.)"""
    readable: asyncio.Future[bool] = loop.create_future()
    loop.add_reader(sock, lambda: readable.done() or readable.set_result(True))
    timer = loop.call_later(seconds, lambda: readable.done() or readable.set_result(False))
    try:
        return await readable
    finally:
        timer.cancel()
        loop.remove_reader(sock)


def _hung_up(sock: socket.socket) -> bool:
    """Has the other side closed or cut the connection? Without reading."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    return bool(poll.poll(0))


class _Dechunked:
    """An HTTP/1.1 response in parts -> what is in its chunks, without its head."""

    def __init__(self) -> None:
        self._buffer = b""
        self._headed = False

    def feed(self, part: bytes) -> list[bytes]:
        self._buffer += part
        if not self._headed:
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            if not separator:
                return []
            if not head.startswith(b"HTTP/1.1 200"):
                raise OSError(head.split(b"\r\n")[0].decode())
            self._headed, self._buffer = True, rest
        found = []
        while (end := self._buffer.find(b"\r\n")) >= 0:
            size = int(self._buffer[:end], 16)
            if len(self._buffer) < end + 4 + size:
                break
            found.append(self._buffer[end + 2 : end + 2 + size])
            self._buffer = self._buffer[end + 4 + size :]
        return found


class _Blocks:
    """Text in parts -> its blocks, which end with an empty line."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._buffer = b""

    def feed(self, part: bytes) -> None:
        *blocks, self._buffer = (self._buffer + part).split(b"\n\n")
        for block in blocks:
            self._take(block)
