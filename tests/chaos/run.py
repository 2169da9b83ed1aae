"""A case -> what was found: a world is made, faults strike one after the other, all becomes quiet, and is judged."""

import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from tests.chaos.cases import Case
from tests.chaos.checker import Findings, check
from tests.chaos.nursery import Nursery
from tests.chaos.world import World
from tests.postgres import PostgresServer

SETTLE_SECONDS = 40.0
BUSY_SECONDS = 1.0  # SQLite's time-out: short, so that a lock is felt


@dataclass(frozen=True, slots=True)
class Result:
    """A line of the table."""

    case: str
    faults: int
    findings: Findings
    recovery: list[float]  # seconds from each fault's end until a message published after it was stored
    seconds: float
    figures: dict[str, float]  # what the case measured besides
    words: str = ""  # what the processes said, when something is broken

    @property
    def ok(self) -> bool:
        """Is every invariant whole?"""
        return not self.findings.broken

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"ok": self.ok}


class Stage:
    """What all cases of a run share: the forking process, migrated templates, PostgreSQL."""

    def __init__(self, *, binary: Path | None = None, postgres: PostgresServer | None = None) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="mtn-", dir="/tmp"))
        self._binary = binary
        self._postgres = postgres
        self._numbers = count(1)
        self._nursery = Nursery(self._directory)
        self._template = self._config("template")
        try:
            self._migrate()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends every process."""
        self._nursery.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def runs(self, case: Case) -> bool:
        """Does the case concern this database?"""
        return case.database in ("", "postgresql" if self._postgres else "sqlite")

    def run(
        self, case: Case, *, rounds: int, seed: int, variant: str = "", settle: float = SETTLE_SECONDS
    ) -> Result:
        """Inject ``rounds`` faults and judge."""
        started = time.monotonic()
        rounds = min(rounds, case.most or rounds)
        settle = case.settle or settle
        recovery: list[float] = []
        with World(
            self._nursery, self._copy(), binary=self._binary, seed=seed, variant=variant,
            postgres=self._postgres, **case.world,
        ) as world:  # fmt: skip
            for _ in range(case.listeners):
                world.start_listener()
            for _ in range(2):
                world.start_writer()
            hopeless = ""
            try:
                world.published()
                world.stored_again()
                for number in range(rounds):
                    world.pause(0.1, 0.5)
                    next_one = case.faults[number % len(case.faults)]
                    (world.random.choice(case.faults) if case.shuffled else next_one)(world)
                    recovery.append(world.recovered(time.time(), settle))
                world.published(rolled_back=True)  # all ways were taken, however slow the machine
            except AssertionError as error:
                hopeless = str(error).partition("\n")[0]
            settled = world.settle(settle)
            expected = world.expected(
                direct=case.direct, copies=case.copies, strict=case.strict, log_lines=case.lines * rounds
            )
            findings = check(world.seen(settled=settled, count_copies=bool(case.copies)), expected)
            findings.broken += world.broken
            if hopeless:
                findings.broken.append(f"I7 {hopeless}")
            words = world.words() if findings.broken else ""
            seconds, figures = time.monotonic() - started, world.figures
        return Result(case.name, len(recovery), findings, recovery, seconds, figures, words)

    # -- databases

    def _config(self, name: str) -> dict[str, Any]:
        if self._postgres is None:
            return {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(self._directory / f"{name}.sqlite3"),
                "OPTIONS": {
                    "timeout": BUSY_SECONDS,
                    "transaction_mode": "IMMEDIATE",
                    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
                },
            }
        return {
            "ENGINE": "django.db.backends.postgresql", "NAME": f"chaos_{name}", "HOST": "127.0.0.1",
            "PORT": self._postgres.port, "USER": "tests", "CONN_HEALTH_CHECKS": True,
        }  # fmt: skip

    def _migrate(self) -> None:
        if self._postgres:
            self._postgres.create_database(self._template["NAME"])
        said = self._directory / "migrate.said"
        child = self._nursery.start(
            "migrate", said=said, database=self._template, messaging={},
            app_label="messaging", verbosity=0,
        )  # fmt: skip
        if child.wait(60):
            raise RuntimeError(f"migrate ended with {child.status}: {child.words()}")

    def _copy(self) -> dict[str, Any]:
        """A fresh database. PostgreSQL has to keep what it said it has committed, for once."""
        name = f"case{next(self._numbers)}"
        config = self._config(name)
        if self._postgres is None:
            shutil.copyfile(self._template["NAME"], config["NAME"])
            return config
        with psycopg.connect(self._postgres.url_of("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{config["NAME"]}" TEMPLATE "{self._template["NAME"]}"')
            connection.execute(f'ALTER DATABASE "{config["NAME"]}" SET synchronous_commit = on')
        return config
