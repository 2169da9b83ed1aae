"""A TCP port -> the same bytes to another port, with faults on the way: what networks do to a connection."""

import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Literal

import hiredis

Fault = Literal["", "stall", "delay", "cut", "reply", "half", "refuse"]

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close() sends RST


class Proxy:
    """``fault`` holds for the bytes that come while it is set:

    stall   nothing passes, in either direction
    delay   each piece takes 200 ms more
    cut     the connection is reset behind ``cut_after`` bytes of the request
    reply   the request reaches the server, the reply is dropped and the connection reset
    half    the server's end is closed for the client, which may go on to send
    refuse  each command is answered with ``refusal``, an error reply, and the server does not hear of it
    """

    counts = True  # commands of the Redis protocol

    def __init__(self, port: int) -> None:
        self._target = port
        self.fault: Fault = ""
        self.cut_after = 100
        self.refusal = ""
        self.struck = 0
        self._sockets: set[socket.socket] = set()
        self._subscribed: set[socket.socket] = set()  # clients that have sent a (P)SUBSCRIBE
        self._silent: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listening.getsockname()[1])

    @property
    def url(self) -> str:
        """For ``MESSAGING["URL"]``."""
        return f"redis://127.0.0.1:{self.port}/0"

    def lead_to(self, port: int) -> None:
        """New connections end there; those that there are stay where they are."""
        self._target = port

    def silence(self) -> None:
        """The subscriptions that there are now hear nothing any more, and nothing that they say arrives."""
        self._silent |= self._subscribed
        self.struck += 1

    def reset_all(self) -> None:
        """Every connection is cut by RST."""
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for each in sockets:
            _reset(each)
            self.struck += 1

    def close(self) -> None:
        """The end of it."""
        self._closed = True
        self.fault = ""
        _reset(self._listening)
        self.reset_all()

    def _accept(self) -> None:
        while not self._closed:
            client = None
            try:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                if client:
                    client.close()
                time.sleep(0.01)
                continue
            server.settimeout(None)
            with self._lock:
                self._sockets |= {client, server}
            for source, target, to_server in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pump, args=(source, target, to_server), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, to_server: bool) -> None:
        commands = _Commands()
        with suppress(OSError):
            while data := source.recv(65536):
                whole = not commands.pending
                count = commands.feed(data) if to_server and self.counts else 0
                if to_server and self.fault == "refuse":
                    self.struck += 1
                    if not whole:  # the server has its beginning
                        break
                    source.sendall(f"-{self.refusal}\r\n".encode() * count)
                elif not self._pass(data, source, target, to_server):
                    break
        for each in (source, target):
            with self._lock:
                self._sockets.discard(each)
            _reset(each)

    def _pass(self, data: bytes, source: socket.socket, target: socket.socket, to_server: bool) -> bool:
        client = source if to_server else target
        if to_server and b"SUBSCRIBE" in data:
            self._subscribed.add(client)
        if client in self._silent:
            return True
        while self.fault == "stall":
            time.sleep(0.01)
        fault = self.fault
        if fault == "delay":
            time.sleep(0.2)
        if fault == "cut" and to_server:
            self.struck += 1
            target.sendall(data[: self.cut_after])
            return False
        if fault == "reply" and not to_server:
            self.struck += 1
            return False
        if fault == "half" and to_server:
            self.struck += 1
            target.sendall(data)
            source.shutdown(socket.SHUT_WR)
            time.sleep(0.1)
            return False
        target.sendall(data)
        return True


class CommitProxy(Proxy):
    """In front of PostgreSQL: ``cut`` and ``reply`` strike only requests to COMMIT, and the answers to them."""

    counts = False

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._committing: set[socket.socket] = set()  # clients

    def _pass(self, data: bytes, source: socket.socket, target: socket.socket, to_server: bool) -> bool:
        if to_server and b"COMMIT" in data:
            self._committing.add(source)
            if self.fault == "cut":
                self.struck += 1
                return False
        elif to_server:
            self._committing.discard(source)
        elif self.fault == "reply" and target in self._committing:
            self.struck += 1
            return False
        target.sendall(data)
        return True


class _Commands:
    """How many commands end in the bytes of one connection."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self.pending = False  # has one begun that has not ended?

    def feed(self, data: bytes) -> int:
        self._reader.feed(data)
        count = 0
        while self._reader.gets() is not False:
            count += 1
        self.pending = self._reader.has_data()
        return count


def _reset(each: socket.socket) -> None:
    with suppress(OSError):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        each.close()
