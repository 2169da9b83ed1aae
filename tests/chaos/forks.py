"""Lines of JSON on stdin -> real Django processes, forked from this one, which has imported everything once.

A case starts dozens of listeners and writers; a fork costs 20 ms where a new interpreter costs seconds. Replies on
stdout: the process id for a start, the exit status or null for a look. All of them die with this process.
"""

import ctypes
import json
import os
import signal
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import django

from tests.chaos import hold

PR_SET_PDEATHSIG = 1
PRELOADED = (
    "broker_site.urls",
    "messaging.management.commands.listen",
    "tests.chaos.crowd",
    "tests.chaos.variants",
    "tests.chaos.writer",
)


def main() -> None:
    """Until stdin ends."""
    django.setup()
    from django.db import connections  # after setup()

    signal.signal(signal.SIGTERM, _end_before_it_began)  # until what was started has a handler of its own
    for name in PRELOADED:
        import_module(name)

    children: set[int] = set()
    try:
        for line in sys.stdin.buffer:
            order = json.loads(line)
            if "look" in order:
                pid, status = os.waitpid(order["look"], os.WNOHANG)
                children.discard(pid)
                reply = os.waitstatus_to_exitcode(status) if pid else None
            else:
                parent = os.getpid()
                reply = os.fork()
                if reply == 0:
                    connections.close_all()
                    _become(order, parent)
                children.add(reply)
            sys.stdout.write(json.dumps(reply) + "\n")
            sys.stdout.flush()
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)


def _end_before_it_began(*_: object) -> None:
    os._exit(0)


def _become(order: dict[str, Any], parent: int) -> None:
    code = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.setsid()
        if os.getppid() != parent:
            os._exit(1)
        said = os.open(order["said"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (said, 1), (said, 2)):
            os.dup2(source, target)
        os.environ[hold.DIRECTORY] = str(Path(order["said"]).parent)
        code = _run(order)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _run(order: dict[str, Any]) -> int:
    from django.conf import settings
    from django.core.cache import caches as django_caches
    from django.core.management import call_command
    from django.db import connections

    from messaging.conf import forget
    from tests.chaos.crowd import Crowd
    from tests.chaos.variants import VARIANTS
    from tests.chaos.writer import Writer

    databases = connections.databases
    databases["default"] = order["database"]
    connections.configure_settings(databases)
    with suppress(AttributeError):
        del connections["default"]  # made by an import, for the settings' own database
    settings.MESSAGING = settings.MESSAGING | order["messaging"]
    forget()
    if order["caches"]:
        settings.CACHES = order["caches"]
        settings.DJANGO_REDIS_CONNECTION_FACTORY = "django_redis.pool.SentinelConnectionFactory"
        django_caches.settings = django_caches.configure_settings(None)
    if order["variant"]:
        VARIANTS[order["variant"]]()
    if order["start"] == "writer":
        options = order["options"]
        Writer(Path(options.pop("ledger")), **options).run()
    elif order["start"] == "crowd":
        options = order["options"]
        Crowd([Path(each) for each in options["ledgers"]], times=Path(options["times"])).run()
    else:
        call_command(order["start"], **order["options"])
    connections.close_all()
    return 0


if __name__ == "__main__":
    main()
