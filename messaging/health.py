"""A probe -> 200 or 503: does this process serve, and is everything there that it needs.

``/healthz`` asks for a restart when it fails, so it depends on nothing. ``/readyz`` takes the process out of the
traffic: the database answers and is migrated, Redis answers, a listener is in charge. It also says where tasks wait
that no worker takes; that makes it red only with READY_NEEDS_WORKER, since requests can be served without workers. The
reply names each part and says why it is not ready, in words that hold no secret, within a second whatever hangs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import wait

from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from messaging import connection, keys
from messaging.conf import conf
from messaging.questions import Questions
from messaging.taskqueue.unattended import unattended

logger = logging.getLogger("messaging.health")

PROBE_SECONDS = 1.0
REDIS_SECONDS = 0.8  # shorter, so that its own error is seen

OK = "ok"
WORKERS = "workers"

_questions = Questions("readyz")
_migrated: set[str] = set()  # databases seen without a migration left to apply: that does not change again


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers at all."""
    return JsonResponse({"healthy": True})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when every part is ``ok``, else 503; both with ``{"ready": ..., "parts": {name: "ok" or why not}}``."""
    parts = check()
    ready = all(word == OK for part, word in parts.items() if part != WORKERS or conf.READY_NEEDS_WORKER)
    response = JsonResponse({"ready": ready, "parts": parts}, status=200 if ready else 503)
    # Django logs each 5xx as an error, here several a second while a site starts: the answer itself says enough.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def check(seconds: float = PROBE_SECONDS) -> dict[str, str]:
    """Every part -> ``ok`` or a sentence, after ``seconds`` at the most."""
    checks: dict[str, tuple[Callable[[], Mapping[str, str]], tuple[str, ...]]] = {
        "database": (_database, ("database", "migrations")),
        "redis": (_redis, ("redis", "listener", WORKERS)),
    }
    running = {name: _questions.ask(name, look) for name, (look, _) in checks.items()}
    wait(running.values(), timeout=seconds)
    found: dict[str, str] = {}
    for name, future in running.items():
        if future.done():
            found |= future.result()
        else:
            found |= dict.fromkeys(checks[name][1], f"no answer within {seconds:g} s")
    return found


def _database() -> dict[str, str]:
    """The database answers, and no migration is left to apply."""
    database = connections[conf.DATABASE]
    try:
        with database.cursor() as cursor:
            cursor.execute("SELECT 1")
        known = str(database.settings_dict["NAME"])
        if known not in _migrated:
            executor = MigrationExecutor(database)
            left = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
            if left:
                return {"database": OK, "migrations": f"{left} to apply: run manage.py migrate"}
            _migrated.add(known)
    except Exception as error:
        return {"database": _reason(error), "migrations": "unknown"}
    return {"database": OK, "migrations": OK}


def _redis() -> dict[str, str]:
    """Redis answers, the heartbeat of a listener has not expired, and where tasks wait there is a worker."""
    try:
        client = connection.client(timeout=REDIS_SECONDS)
        beating = client.exists(keys.heartbeat())
    except Exception as error:
        return {"redis": _reason(error), "listener": "unknown", WORKERS: "unknown"}
    listener = OK if beating else "none has reported: run manage.py listen"
    try:
        alone = "; ".join(map(str, unattended(client)[:5]))
    except Exception as error:  # settings.TASKS among its reasons
        alone = _reason(error)
    return {"redis": OK, "listener": listener, WORKERS: alone or OK}


def _reason(error: Exception) -> str:
    """The kind of an error; its text may hold an address or a password and goes to the log only."""
    logger.debug("not ready: %s", error)
    return f"no answer ({type(error).__name__})"
