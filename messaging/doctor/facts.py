"""A Redis server -> what it says of itself, asked once. What it refuses to tell (ACL, a managed service) is missing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import redis
from redis.exceptions import ResponseError

from messaging import connection, keys, log
from messaging.listener import BLOCK_MS

PINGS = 5
_PARAMETERS = (
    "appendfsync",
    "save",
    "stop-writes-on-bgsave-error",
    "client-output-buffer-limit",
    "timeout",
    "tcp-keepalive",
    "min-replicas-to-write",
    "dir",
)


class Facts(NamedTuple):
    """All of it. Times are in seconds."""

    info: Mapping[str, Any]  # of INFO; empty when it is refused
    config: Mapping[str, str]  # of CONFIG GET; empty when it is refused
    round_trip: float = 0.0  # the median of a few
    clock_ahead: float = 0.0  # the server's clock less ours
    blocked: float = 0.0  # how long a read of BLOCK_MS blocked; 0 = it came back at once, with a message
    cut: str = ""  # why it was cut off
    over_tcp: bool = True
    cli: str = "redis-cli"  # the beginning of a command line for this server


def gather(client: redis.Redis) -> Facts:
    """Ask the server; raises what redis-py raises when it does not answer."""
    trips = []
    for _ in range(PINGS):
        began = time.perf_counter()
        client.execute_command("PING")
        trips.append(time.perf_counter() - began)
    info: dict[str, Any] = {}
    with suppress(ResponseError):
        info = client.info()
    config: dict[str, str] = {}
    with suppress(ResponseError):
        config = {str(name): str(value) for name, value in client.config_get(*_PARAMETERS).items()}
    began = time.time()
    seconds, microseconds = client.time()
    ahead = seconds + microseconds / 1e6 - (began + time.time()) / 2
    blocked, cut = _block(client)
    return Facts(
        info,
        config,
        round_trip=statistics.median(trips),
        clock_ahead=ahead,
        blocked=blocked,
        cut=cut,
        over_tcp="host" in _where(),
        cli=cli(),
    )


def _block(client: redis.Redis) -> tuple[float, str]:
    """Wait as the readers of the log do: what cuts idle connections on the way shows here."""
    streams = ("STREAMS", keys.log(log.partitions()[-1]), "$")
    began = time.perf_counter()
    try:
        client.execute_command("XREAD", "COUNT", 1, "BLOCK", BLOCK_MS, *streams)
    except ResponseError:
        return 0.0, ""  # a right that is missing, which the rights say
    except redis.RedisError as error:
        return 0.0, str(error)
    return time.perf_counter() - began, ""


def cli() -> str:
    """The beginning of a redis-cli command line for our server; it asks for the password, if there is one."""
    at = _where()
    words = ["redis-cli"]
    if path := at.get("path"):
        words += ["-s", str(path)]
    elif host := at.get("host"):
        words += ["-h", str(host), "-p", str(at.get("port") or 6379)]
    if at.get("db"):
        words += ["-n", str(at["db"])]
    if at.get("ssl_cert_reqs") is not None:
        words.append("--tls")
    if at.get("username"):
        words += ["--user", str(at["username"])]
    if at.get("password"):
        words.append("--askpass")
    return " ".join(words)


def _where() -> Mapping[str, Any]:
    found: Mapping[str, Any] = connection.pool(timeout=None).connection_kwargs
    return found
