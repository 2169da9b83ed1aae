"""A server, a database, listeners and writers -> one place in which faults are injected, gone afterwards."""

import math
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import redis

from tests.chaos import hold, ledger
from tests.chaos.checker import Expected, Seen
from tests.chaos.guarded import GuardedServers
from tests.chaos.logs import LEASE, is_read, most_copies
from tests.chaos.nursery import Child, Nursery
from tests.chaos.proxy import CommitProxy, Proxy
from tests.chaos.rows import Rows
from tests.postgres import PostgresServer
from tests.servers import TestServer
from tests.waiting import eventually

GRACE = 0.5
MESSAGING = {
    "LEASE_SECONDS": 1.5,
    "OUTBOX_GRACE_SECONDS": GRACE,
    "PUBLISH_BUDGET": 0.5,
    "BREAKER_SECONDS": 0.2,
    "BREAKER_MAX_SECONDS": 0.5,
    "CAPTURE_CHANNELS": ["f.*"],
    "CAPTURE_LISTS": ["inbox"],
}


class World:
    """A context manager. What a case tunes comes in ``options``: see the attributes."""

    def __init__(
        self,
        nursery: Nursery,
        config: dict[str, Any],
        *,
        binary: Path | None,
        seed: int,
        variant: str = "",
        server: dict[str, str] | None = None,
        messaging: dict[str, Any] | None = None,
        direct: float = 0.6,
        proxied: bool = False,
        listener_proxied: bool = False,
        guarded: bool = False,
        database_proxied: bool = False,
        postgres: PostgresServer | None = None,
    ) -> None:
        self.random = random.Random(seed)
        self.directory = Path(tempfile.mkdtemp(prefix="mtc-", dir="/tmp"))
        self.postgres = postgres
        self.variant = variant
        self.rows = Rows(config)
        self.garbage = 0  # entries that must end in quarantine
        self._nursery = nursery
        self._config = config
        self._direct = direct
        self._both = listener_proxied
        self.messaging = MESSAGING | (messaging or {})  # of the processes that are started from now on
        self._most_partitions = 1
        self.times = self.directory / "times.json"
        self._crowds: dict[int, list[str]] = {}
        self.figures: dict[str, float] = {}  # of the case, for the table
        self.broken: list[str] = []  # what a fault found wrong by itself
        self._memory_mb = 0
        self._names = self._strangers = self._turns = 0
        self.ledgers: dict[int, str] = {}  # by the writer's process
        self.listeners: list[Child] = []
        self.writers: list[Child] = []
        make = GuardedServers if guarded else TestServer
        self.broker: Any = make(binary=binary, options=server)
        self.proxy = Proxy(self.broker.port) if proxied else None
        self.database_proxy = CommitProxy(config["PORT"]) if database_proxied else None
        if self.database_proxy:
            self._config = config | {"PORT": self.database_proxy.port}
        self.rows.trace(drop_index=variant == "no_conflict_clause")

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *_: object) -> None:
        for child in (*self.writers, *self.listeners):
            child.kill()
        for each in (self.proxy, self.database_proxy):
            if each:
                each.close()
        self.broker.remove()
        shutil.rmtree(self.directory, ignore_errors=True)

    # -- processes

    def start_listener(self) -> Child:
        """One more."""
        child = self._start("listen", self.proxy.url if self.proxy and self._both else self.broker.url)
        self.listeners.append(child)
        return child

    def start_writer(
        self, *, direct: float | None = None, die: int = 0, hold: float = 0.0, burst: int = 0
    ) -> Child:
        """One more, with a ledger of its own."""
        self._names += 1
        path = self.directory / f"w{self._names}.ledger"
        url = self.proxy.url if self.proxy else self.broker.url
        share = self._direct if direct is None else direct
        child = self._start(
            "writer", url,
            ledger=str(path), seed=self.random.getrandbits(32), direct=share, hold=hold, die=die, burst=burst,
            lanes=1 if self.partitions == 1 else 5,
        )  # fmt: skip
        self.writers.append(child)
        self.ledgers[child.pid] = path.stem
        return child

    def start_crowd(self, size: int) -> Child:
        """So many threads of one process; what each call took is in ``times`` when it has ended."""
        names = [f"w{self._names + number}" for number in range(1, size + 1)]
        self._names += size
        self.times.unlink(missing_ok=True)
        child = self._start(
            "crowd", self.proxy.url if self.proxy else self.broker.url,
            ledgers=[str(self.directory / f"{name}.ledger") for name in names], times=str(self.times),
        )  # fmt: skip
        self._crowds[child.pid] = names
        return child

    @property
    def partitions(self) -> int:
        """The most that there were."""
        self._most_partitions = max(self._most_partitions, self.messaging.get("PARTITIONS", 1))
        return self._most_partitions

    def _start(self, what: str, url: str, **options: Any) -> Child:
        caches = self.broker.caches if isinstance(self.broker, GuardedServers) else {}
        return self._nursery.start(
            what,
            said=self.directory / f"{what}.said",
            database=self._config,
            messaging=self.messaging | ({"CACHE_ALIAS": "default"} if caches else {"URL": url}),
            caches=caches,
            variant=self.variant,
            **options,
        )

    def kill_listener(self) -> None:
        """All of them, at once."""
        if self.listeners:
            self.wait_for_mistake()
        for child in self.listeners:
            self._memory_mb = max(self._memory_mb, child.memory_mb())
            child.kill()
        self.listeners.clear()
        self.release()

    def wait_for_mistake(self) -> None:
        """If the variant has one that takes a moment: until the listener in charge is in the midst of it, and stays."""
        if self.variant in hold.VARIANTS:
            hold.ask(self.directory)
            self._eventually(lambda: hold.is_held(self.directory), 30.0, "the variant makes its mistake")

    def release(self) -> None:
        """Whoever was held is dead or stands still."""
        hold.release(self.directory)

    def in_charge(self) -> Child | None:
        """The listener that holds the lease."""
        with suppress(redis.RedisError):
            holder = self.redis().get(LEASE)
            if isinstance(holder, bytes):
                pid = int(holder.split(b":")[1])
                return next((child for child in self.listeners if child.pid == pid), None)
        return None

    def redis(self) -> redis.Redis:
        """A client of the real server."""
        self.broker.close_clients()
        return self.broker.client(socket_timeout=5)

    # -- waiting

    def turn(self, things: Sequence[str]) -> str:
        """One after the other, and from the start again."""
        self._turns += 1
        return things[(self._turns - 1) % len(things)]

    def pause(self, least: float, most: float) -> None:
        """Load goes on meanwhile."""
        time.sleep(
            self.random.uniform(least, most)
        )  # not a wait for anything: when a fault strikes is at random

    def published(self, *, rolled_back: bool = False, timeout: float = 120.0) -> None:
        """Wait until each writer has noted, since now, a direct message that Redis has and a transaction that is
        committed and whose messages were sent (and one that was rolled back), as far as they publish so at all."""
        wanted = ["ok"] if self._direct > 0 else []
        if self._direct < 1:
            wanted += ["committed"] + ["aborted"] * rolled_back
        self._noted(wanted, {self.ledgers[writer.pid]: writer for writer in self.writers}, timeout)

    def crowd_published(self, crowd: Child, timeout: float = 120.0) -> None:
        """Wait until each of its threads has noted a message that Redis has."""
        self._noted(["ok"], dict.fromkeys(self._crowds[crowd.pid], crowd), timeout)

    def _noted(self, wanted: list[str], authors: dict[str, Child], timeout: float) -> None:
        """``authors`` of the ledgers; raises when one has ended, for no fault of ours: that breaks no law."""
        paths = [self.directory / f"{name}.ledger" for name in authors]
        known = {path: path.stat().st_size if path.exists() else 0 for path in paths}

        def noted() -> bool:
            for author in authors.values():
                if author.ended():
                    raise RuntimeError(f"a writer ended with {author.status}: {author.words()}")
            news = [path.read_bytes()[known[path] :] if path.exists() else b"" for path in paths]
            return all(f'["{kind}", '.encode() in each for kind in wanted for each in news)

        self._eventually(noted, timeout, f"the writers note {', '.join(wanted)}")

    def recovered(self, since: float, timeout: float = 60.0) -> float:
        """Wait until something that was published after ``since`` is stored; seconds."""
        self._eventually(lambda: self.rows.newest_stored() > since, timeout, "a new message is stored")
        return time.time() - since

    def stored_again(self) -> None:
        """Messages flow."""
        self.recovered(time.time())

    def foreign_heard(self) -> None:
        """Wait until what a stranger says from now on over Pub/Sub is stored."""
        self._strangers += 1
        channel, client = f"f.{self._strangers}", self.redis()

        def heard() -> bool:
            client.publish(channel, "hello")
            return self.rows.count("message", f"channel = '{channel}'") > 0

        eventually(heard, every=0.1, message="a foreign message is heard")

    def settle(self, timeout: float) -> bool:
        """No more writers; does the lag return to zero?"""
        for writer in self.writers:
            if writer.terminate() not in (0, -9):
                raise RuntimeError(f"a writer ended with {writer.status}: {writer.words()}")
        try:
            self._eventually(self._is_settled, timeout, "the lag returns to zero")
        except AssertionError:
            return False
        return True

    def _is_settled(self) -> bool:
        if self.rows.count("message", "log_ms IS NULL"):
            return False
        client = self.redis()
        return all(is_read(client, self.rows, partition) for partition in range(self.partitions))

    def _eventually(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        def quiet() -> bool:
            try:
                return condition()
            except (psycopg.OperationalError, redis.RedisError):
                return False

        eventually(quiet, timeout=timeout, message=what, every=0.03)

    # -- the end

    def seen(self, *, settled: bool, count_copies: bool) -> Seen:
        """Everything that the checker needs."""
        memory = max((child.memory_mb() for child in self.listeners), default=0)
        return Seen(
            facts=[fact for path in sorted(self.directory.glob("*.ledger")) for fact in ledger.read(path)],
            rows=self.rows.messages(),
            gaps=self.rows.gaps(),
            moves=self.rows.moves(),
            quarantined=self.rows.quarantined(),
            settled=settled,
            copies=most_copies(self.redis(), self.partitions) if count_copies else 0,
            log_lines=len(self.words().splitlines()),
            memory_mb=max(self._memory_mb, memory),
        )

    def expected(self, *, direct: Any, copies: int, strict: bool, log_lines: int) -> Expected:
        """What a case allows, after so many faults."""
        return Expected(
            direct=direct,
            copies=copies,
            quarantined=self.garbage,
            late_after=math.inf if strict else GRACE,
            log_lines=40 + log_lines,
        )

    def words(self) -> str:
        """What all processes said."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.directory.glob("*.said")))
