"""Settings -> everything that the site needs, running in one terminal: what ``manage.py up`` does.

Embedded Valkey unless the settings name another server, migrations, an admin on the first run, web server, listener.
Whatever cannot work is found before anything runs, and said in a sentence: see :class:`CannotStart`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from messaging.embedded import EmbeddedServerError
from messaging.supervisor import ENDED_AT_ONCE, Supervisor

REDIS_SECONDS = 2.0  # for a server named by the settings to answer
PATIENCE = 10.0  # seconds after which a site that is not ready says why, and again


class CannotStart(Exception):
    """Something that the site needs is not there; the message is a sentence for people."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. ``directory`` holds everything that is kept; ``embedded`` is the socket of a server of our own."""

    host: str
    port: int
    directory: Path
    embedded: Path | None
    drain_seconds: float
    manage: Path  # manage.py


def run(plan: Plan, *, say: Callable[[str, str], None], show: Callable[[str], None]) -> int:
    """Runs the site until a signal. ``say`` gets (part, line) as it happens, ``show`` the banner when it is ready.

    Returns 0 drained, 1 a part could not be kept alive, 5 the drain timed out, 130 ended at once.
    Raises CannotStart, with nothing left running.
    """
    began = time.monotonic()
    with (
        listen_on(plan.host, plan.port) as listening,
        Supervisor(say, drain_seconds=plan.drain_seconds) as supervisor,
    ):
        plan.directory.mkdir(parents=True, exist_ok=True)
        lock = only_one(plan.directory / "up.lock")
        try:
            server = start_redis(plan, supervisor)
            applied = migrate()
            if server:
                server.wait_ready()
            if applied:
                say("", f"database: {applied} migrations applied")
            if supervisor.stopping:
                return supervisor.stop()
            supervisor.start(*children(plan, listening))
            ready = Readiness(plan.host, listening.getsockname()[1])
            ready.start()

            def tick() -> None:
                if ready.news():
                    login = first_admin()
                    show(banner(plan, ready.url, login=login, seconds=time.monotonic() - began))
                elif waiting_for := ready.overdue():
                    say("", f"not ready yet: {waiting_for}")

            return supervisor.run(tick, every=0.1)
        except EmbeddedServerError as error:
            raise CannotStart(str(error)) from error
        except KeyboardInterrupt:
            supervisor.stop()
            return ENDED_AT_ONCE
        finally:
            supervisor.stop()
            lock.close()
