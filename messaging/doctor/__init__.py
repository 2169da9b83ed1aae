"""Redis, the database and the settings, asked once -> findings: what it is, why it matters, what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec
import redis
from django.db import DatabaseError, InterfaceError
from redis.exceptions import AuthenticationError, BusyLoadingError, ResponseError

from messaging import connection
from messaging.doctor import broker, durability, keeping, rights, server, site
from messaging.doctor.facts import gather
from messaging.doctor.finding import LEVELS, PROBLEM, Finding, Section, problem
from messaging.errors import Misconfigured, shown
from messaging.taskqueue import confirming

ANSWER_WITHIN = 3.0  # seconds; longer than a reader waits for news


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that ``manage.py messaging doctor`` says."""

    redis: str  # where it is, without its password
    answers: bool  # does it?
    counts: dict[str, int]  # findings by level
    sections: list[Section]

    @property
    def sick(self) -> bool:
        """Is there a problem?"""
        return self.counts[PROBLEM] > 0


def examine() -> Diagnosis:
    """Ask everything, past the circuit breaker. Takes a second or two: a read waits for news, as readers do."""
    sections = [_section("Settings", site.settings_findings)]
    client = None
    try:
        client = connection.client(timeout=ANSWER_WITHIN)
        known = gather(client)
    except (redis.RedisError, Misconfigured) as error:
        client = None
        sections.append(Section(name="Redis", findings=[_away(error)]))
    else:
        sections += [
            _section(
                "Redis",
                lambda: server.examine(known),
                lambda: keeping.examine(known),
                lambda: durability.examine(known, confirming.asked()),
            ),
            _section("Rights", lambda: rights.examine(client)),
            _section("Cache", lambda: site.cache_findings(client)),
        ]
    sections += [
        _section("Database", site.database_findings),
        _section("Messages", lambda: broker.examine(client)),
    ]
    findings = [each for section in sections for each in section.findings]
    return Diagnosis(
        redis=_where(),
        answers=client is not None,
        counts={level: sum(each.level == level for each in findings) for level in LEVELS},
        sections=[each for each in sections if each.findings],
    )


def _section(name: str, *parts: Callable[[], Iterable[Finding]]) -> Section:
    return Section(name=name, findings=[each for part in parts for each in _guarded(part)])


def _guarded(part: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """The findings of a part, and one more about what kept it from its end."""
    try:
        yield from part()
    except redis.RedisError as error:
        yield _away(error)
    except Misconfigured as error:
        yield problem("settings", str(error), why="Until it is mended the rest cannot be judged.")
    except (DatabaseError, InterfaceError) as error:
        yield problem(
            "database", f"does not answer: {shown(str(error).strip())}", why="The rest cannot be judged."
        )


def _away(error: Exception) -> Finding:
    """Why Redis cannot be asked."""
    why = "Nothing can be published or read; the outbox waits in the table, foreign publishers get an error."
    if isinstance(error, Misconfigured):
        return problem("settings", str(error), why=why, remedy="Mend MESSAGING['URL'] or ['CACHE_ALIAS'].")
    if isinstance(error, AuthenticationError):
        return problem(
            "reachable",
            f"it does not let us in: {error}",
            why=why,
            remedy="Mend the user and password in REDIS_URL; the server's ACL LIST shows whom it knows.",
        )
    if isinstance(error, BusyLoadingError):
        return problem(
            "reachable",
            "it is loading its data",
            why=why,
            remedy="Wait; INFO persistence says how far it is.",
        )
    if isinstance(error, ResponseError):
        return problem(
            "reachable", f"it refuses: {error}", why=why, remedy="See the right or setting it names."
        )
    return problem(
        "reachable",
        f"no answer: {error}",
        why=why,
        remedy="Start it, or mend REDIS_URL. `manage.py up` starts the embedded one.",
    )


def _where() -> str:
    try:
        return connection.where()
    except Misconfigured:
        return ""
