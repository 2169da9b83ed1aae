"""A listening socket -> uvicorn serving the site on it, until TERM.

    python -m messaging.standalone.webserver DESCRIPTOR DRAIN_SECONDS

``manage.py up`` opens the socket before it starts anything and hands it down, so that a taken port is its first
finding, and connections wait in the socket's queue rather than fail while this process starts or is replaced.
"""

from __future__ import annotations

import gc
import socket
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import uvicorn
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.utils.module_loading import import_string


def application() -> Callable[..., Any]:
    """The site's ASGI application: that of ``ASGI_APPLICATION``, else ``application`` in the module ``asgi`` beside the
    root URLs, where ``startproject`` puts it, else Django's alone. As under ``runserver``, static files are served too
    with ``DEBUG``, unless the site has something else for them (``runserver_nostatic``)."""
    found = _application()
    apps: list[str] = settings.INSTALLED_APPS
    served_elsewhere = any(name.endswith(".runserver_nostatic") for name in apps)
    if settings.DEBUG and "django.contrib.staticfiles" in apps and not served_elsewhere:
        from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler

        return ASGIStaticFilesHandler(found)  # type: ignore[arg-type]  # it takes any ASGI application
    return found


def _application() -> Callable[..., Any]:
    django = (
        get_asgi_application()
    )  # first of all: it readies the apps, which an asgi.py leaves to its first lines
    if named := getattr(settings, "ASGI_APPLICATION", None):
        return import_string(named)  # type: ignore[no-any-return]
    module = f"{settings.ROOT_URLCONF.rpartition('.')[0]}.asgi"
    try:
        return import_module(module).application  # type: ignore[no-any-return]
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
    return django


def serve(listening: socket.socket, *, drain_seconds: float) -> None:
    """Serves the site's application; after a signal, requests in flight get ``drain_seconds``."""
    config = uvicorn.Config(
        application(),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="auto",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=max(1, int(drain_seconds)),
    )
    config.load()
    gc.collect()
    gc.freeze()  # what is there now stays: a full collection would stop all requests for 50 ms to find that out
    uvicorn.Server(config).run(sockets=[listening])


def main() -> None:
    descriptor, drain_seconds = sys.argv[1:]
    serve(socket.socket(fileno=int(descriptor)), drain_seconds=float(drain_seconds))


if __name__ == "__main__":
    main()
