"""A log -> one client's socket, with nothing in between: what one more process costs on this machine at the least.

    python -m benchmarks.bare_relay SOCKET LOG

Blocking sockets, no event loop, no filter, no session, no resume: XREAD, then ``sendall``. It prints its port.
"""

from __future__ import annotations

import socket
import sys

import hiredis


def main(path: str, log: str) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    print(server.getsockname()[1], flush=True)
    client, _ = server.accept()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    broker = socket.socket(socket.AF_UNIX)
    broker.connect(path)
    parser = hiredis.Reader()
    position: bytes | str = "0"
    client.sendall(b"event: live\n\n")
    while True:
        broker.sendall(
            hiredis.pack_command(("XREAD", "COUNT", "100", "BLOCK", "0", "STREAMS", log, position))
        )
        while (reply := parser.gets()) is False:
            parser.feed(broker.recv(65536))
        for position, fields in reply[0][1]:
            client.sendall(b"id: %b\ndata: %b\n\n" % (position, fields[1]))


if __name__ == "__main__":
    main(*sys.argv[1:])
