"""Two servers and a Sentinel -> one broker that fails over, with the methods of a plain one."""

import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis

from messaging.standalone import tether
from messaging.standalone.embedded import bundled_binary
from tests.servers import TestServer, free_port
from tests.waiting import PATIENCE, eventually

NAME = "shop"
FILLER = 32 * 1024 * 1024  # bytes: more than the sockets between two servers hold


class GuardedServers:
    """``master`` is whoever is, ``replica`` the other one; signals and clients go to the master."""

    def __init__(self, *, binary: Path | None, options: dict[str, str] | None) -> None:
        options = (options or {}) | {"repl-diskless-sync-delay": "0"}
        self.master = TestServer(binary=binary, options=options)
        self.replica = TestServer(binary=binary, options=options | self._follows())
        self._sentinel_port = free_port()
        self._directory = Path(tempfile.mkdtemp(prefix="mtg-", dir="/tmp"))
        config = self._directory / "sentinel.conf"
        config.write_text(
            f"port {self._sentinel_port}\nbind 127.0.0.1\ndir {self._directory}\nlogfile {self._directory}/log\n"
            f"sentinel monitor {NAME} 127.0.0.1 {self.master.port} 1\n"
            f"sentinel down-after-milliseconds {NAME} 2000\nsentinel failover-timeout {NAME} 5000\n"
        )
        self._process = subprocess.Popen(
            tether.command(str(binary or bundled_binary()), str(config), "--sentinel"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self.both_are_there()
        except BaseException:
            self.remove()
            raise

    def _follows(self) -> dict[str, str]:
        return {"replicaof": f"127.0.0.1 {self.master.port}"}

    @property
    def caches(self) -> dict[str, Any]:
        """Django's setting CACHES, for processes that reach the master by the Sentinel."""
        options = {
            "CLIENT_CLASS": "django_redis.client.SentinelClient",
            "CONNECTION_POOL_CLASS": "redis.sentinel.SentinelConnectionPool",
            "SENTINELS": [["127.0.0.1", self._sentinel_port]],
            "SENTINEL_KWARGS": {"socket_timeout": 0.4},
        }
        backend = "django_redis.cache.RedisCache"
        return {"default": {"BACKEND": backend, "LOCATION": f"redis://{NAME}/0", "OPTIONS": options}}

    # -- as of one server

    @property
    def url(self) -> str:
        return self.master.url

    @property
    def port(self) -> int:
        return self.master.port

    @property
    def pid(self) -> int:
        return self.master.pid

    @property
    def directory(self) -> Path:
        return self.master.directory

    def client(self, **options: object) -> redis.Redis:
        """Of the master."""
        return self.master.client(**options)

    def close_clients(self) -> None:
        """Of both."""
        self.master.close_clients()
        self.replica.close_clients()

    def signal(self, number: int) -> None:
        """To the master."""
        self.master.signal(number)

    def kill(self) -> None:
        """The master."""
        self.master.kill()

    def start(self) -> None:
        """The master."""
        self.master.start()

    def remove(self) -> None:
        """All three."""
        self._process.kill()
        self._process.wait(10)
        self.master.remove()
        self.replica.remove()

    # -- failing over

    def fall_behind(self) -> None:
        """From now on the replica gets nothing: it is stopped, and all that lies on the way to it is filled."""
        self.replica.signal(signal.SIGSTOP)
        with self.master.connect(self.master.socket) as client:
            client.set("filler", b"x" * FILLER)

    def fail_over(self, timeout: float = PATIENCE) -> float:
        """The master is killed, the replica promoted; seconds. What was the master comes back as the replica."""
        self.master.kill()
        self.replica.signal(signal.SIGCONT)
        began = time.monotonic()
        eventually(self._is_promoted, timeout=timeout, every=0.05, message="the replica is promoted")
        took = time.monotonic() - began
        self._exchange()
        self.replica.start()
        self.both_are_there()
        return took

    def hand_over(self, timeout: float = 60.0) -> None:
        """The replica is promoted though the master is well, and is told then to be the replica."""
        with self._asking() as sentinel:
            sentinel.execute_command("SENTINEL", "FAILOVER", NAME)
        eventually(self._is_promoted, timeout=timeout, every=0.05, message="the replica is promoted")
        self._exchange()
        self.both_are_there()

    def _exchange(self) -> None:
        self.master, self.replica = self.replica, self.master
        self.replica._server.options |= self._follows()
        self.master._server.options.pop("replicaof", None)

    def _is_promoted(self) -> bool:
        with suppress(redis.RedisError), self._asking() as sentinel:
            address = sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
            return self.replica.client().role()[0] == b"master" and int(address[1]) == self.replica.port
        return False

    def both_are_there(self) -> None:
        """Wait until the replica has all that the master has, and the Sentinel knows it as healthy."""

        def healthy() -> bool:
            with suppress(redis.RedisError), self._asking() as sentinel:
                known = sentinel.execute_command("SENTINEL", "REPLICAS", NAME)
                one = next((each for each in known if int(_field(each, "port")) == self.replica.port), None)
                synced = self.replica.client().info("replication").get("master_link_status") == "up"
                return synced and one is not None and _field(one, "flags") == "slave"
            return False

        eventually(healthy, timeout=60, every=0.05, message="the replica has caught up")

    def _asking(self) -> redis.Redis:
        return redis.Redis(port=self._sentinel_port, socket_timeout=2, decode_responses=True)


def _field(facts: Any, name: str) -> str:
    """Of a reply that is a flat list of names and values, or a dictionary."""
    if isinstance(facts, dict):
        return str(facts[name])
    return str(facts[facts.index(name) + 1])


def fail_over_to_lagging_replica(world: Any) -> None:
    """What the replica did not get is gone: the relay has stored a part of it, the rest nobody has."""
    guarded = world.broker
    assert isinstance(guarded, GuardedServers)
    guarded.fall_behind()
    world.stored_again()
    world.published()
    took = guarded.fail_over()
    world.figures["promoted s"] = round(max(took, world.figures.get("promoted s", 0.0)), 1)


def hand_over_to_replica(world: Any) -> None:
    """What is published meanwhile to the one that gives way is gone, and that one goes on to answer."""
    guarded = world.broker
    assert isinstance(guarded, GuardedServers)
    guarded.hand_over()
