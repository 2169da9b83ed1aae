"""A listening socket -> uvicorn serving the site on it, until TERM.

    python -m messaging.standalone.webserver DESCRIPTOR DRAIN_SECONDS

``manage.py up`` opens the socket before it starts anything and hands it down, so that a taken port is its first
finding, and connections wait in the socket's queue rather than fail while this process starts or is replaced.
"""

from __future__ import annotations

import gc
import socket
import sys

import uvicorn
from django.conf import settings


def serve(listening: socket.socket, *, application: str, drain_seconds: float) -> None:
    """Serves ``application`` ("module:name"); after a signal, requests in flight get ``drain_seconds``."""
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="auto",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=max(1, int(drain_seconds)),
    )
    config.load()  # the application, now rather than in run()
    gc.collect()
    gc.freeze()  # what is there now stays: a full collection would stop all requests for 50 ms to find that out
    uvicorn.Server(config).run(sockets=[listening])


def main() -> None:
    descriptor, drain_seconds = sys.argv[1:]
    module, _, name = str(settings.ASGI_APPLICATION).rpartition(".")
    serve(
        socket.socket(fileno=int(descriptor)),
        application=f"{module}:{name}",
        drain_seconds=float(drain_seconds),
    )


if __name__ == "__main__":
    main()
