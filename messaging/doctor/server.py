"""What the server says of itself -> findings: will it keep the messages, and is it near enough. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from messaging.conf import conf
from messaging.doctor.facts import Facts
from messaging.doctor.finding import Finding, note, ok, problem, warning
from messaging.listener import BLOCK_MS
from messaging.quantities import size, span

OLDEST_REDIS, OLDEST_VALKEY = (7, 0), (8, 0)
FAR, TOO_FAR = 0.01, 0.1  # seconds for a round trip
FULL, NEARLY_FULL = 0.9, 0.75  # of maxmemory or of maxclients
MIB = 1024 * 1024


def examine(facts: Facts) -> Iterator[Finding]:
    """Everything, in the order in which a person would ask."""
    yield _distance(facts)
    if not facts.info:
        yield warning(
            "INFO",
            "the server does not tell us about itself",
            why="Version, persistence, memory and role cannot be judged, and the listener does not notice a restart.",
            remedy="Give our user the right to ask, or ask your provider:",
            command=f"{facts.cli} ACL SETUSER <user> +info",
        )
    else:
        yield _version(facts)
        yield from _mode(facts)
        yield from _clients(facts)
    yield _clock(facts)
    yield from _waiting(facts)


def _distance(facts: Facts) -> Finding:
    micro = facts.round_trip * 1e6
    what = f"answers in {f'{micro:.0f} µs' if micro < 1000 else span(micro / 1000)}"
    if facts.round_trip < FAR:
        return ok("reachable", what)
    why = f"A publish() outside a transaction waits for one round trip, and gives up after {conf.PUBLISH_BUDGET:g} s."
    remedy = "Run Redis nearer to the web processes, or publish inside transactions or with publish_many()."
    return (note if facts.round_trip < TOO_FAR else warning)("reachable", what, why=why, remedy=remedy)


def product(facts: Facts) -> tuple[str, str]:
    """The server's name and version."""
    info = facts.info
    for key, name in (("valkey_version", "Valkey"), ("dragonfly_version", "Dragonfly")):
        if key in info:
            return name, str(info[key])
    if "keydb" in str(info.get("executable", "")):
        return "KeyDB", str(info.get("redis_version", ""))
    return "Redis", str(info.get("redis_version", ""))


def _version(facts: Facts) -> Finding:
    name, version = product(facts)
    oldest = {"Redis": OLDEST_REDIS, "Valkey": OLDEST_VALKEY}.get(name)
    if oldest is None:
        return warning(
            "version",
            f"{name} {version}",
            why="Only Redis and Valkey are tested: streams, scripts and ACLs differ in others.",
            remedy="Use Redis 7.0 or Valkey 8, or newer.",
        )
    if _numbers(version) < oldest:
        return problem(
            "version",
            f"{name} {version} is older than {'.'.join(map(str, oldest))}",
            why="Entries that were trimmed away are counted by what newer servers say of a stream.",
            remedy="Upgrade to Redis 7.0 or Valkey 8, or newer.",
        )
    return ok("version", f"{name} {version}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())


def _mode(facts: Facts) -> Iterator[Finding]:
    mode = facts.info.get("server_mode") or facts.info.get("redis_mode")
    if mode == "cluster":
        yield problem(
            "mode",
            "the server is a node of a cluster",
            why="Keys of other slots are refused: the cluster is not supported yet.",
            remedy="Use one server, or Sentinel through django-redis (CACHE_ALIAS).",
        )
    elif mode == "sentinel":
        yield problem(
            "mode",
            "this is a Sentinel, which holds no data",
            why="Every command of ours is refused.",
            remedy="Set MESSAGING['CACHE_ALIAS'] to a django-redis cache that is configured for Sentinel.",
        )


def _clients(facts: Facts) -> Iterator[Finding]:
    connected, most = int(facts.info.get("connected_clients", 0)), int(facts.info.get("maxclients", 0))
    if most and connected >= NEARLY_FULL * most:
        yield warning(
            "clients",
            f"{connected:,} of {most:,} connections are in use",
            why="At the limit new connections are refused: publish() raises BrokerUnavailable.",
            remedy="Find who holds them (CLIENT LIST), or raise the limit:",
            command=f"{facts.cli} CONFIG SET maxclients {most * 2}",
        )


def _clock(facts: Facts) -> Finding:
    ahead = facts.clock_ahead
    if abs(ahead) < 1:
        return ok("clock", f"{abs(ahead) * 1000:.0f} ms from ours")
    return (note if abs(ahead) < 5 else warning)(
        "clock",
        f"the server's clock is {span(abs(ahead) * 1000)} {'ahead of' if ahead > 0 else 'behind'} ours",
        why="Positions carry the server's time: lag, age, --since and PRUNE_DAYS are wrong by as much.",
        remedy="Run a time service (chrony, systemd-timesyncd) on both machines.",
    )


def _waiting(facts: Facts) -> Iterator[Finding]:
    """What happens to connections on which nothing moves for a while, as on those of our readers."""
    if facts.cut:
        yield warning(
            "waiting",
            f"a read that waits {BLOCK_MS / 1000:g} s for news is cut off: {facts.cut}",
            why="The listener and the live page wait like this all the time, and would reconnect all the time.",
            remedy="Raise the idle time-out of what stands between us and Redis (proxy, firewall, stunnel) to 60 s.",
        )
    elif facts.blocked:
        yield ok("waiting", f"a read waited {facts.blocked:.1f} s for news and was left alone")
    idle = int(facts.config.get("timeout") or 0)
    if 0 < idle < 60:
        yield note(
            "idle",
            f"the server closes connections that are idle for {idle} s",
            why="Waiting readers and subscribers are spared, but a quiet web process connects anew for each message.",
            remedy="Let idle connections live:",
            command=f"{facts.cli} CONFIG SET timeout 0",
        )
    if facts.over_tcp and facts.config.get("tcp-keepalive") == "0":
        yield note(
            "keepalive",
            "the server never asks whether a silent client still lives",
            why="Connections of machines that vanished stay until maxclients is reached.",
            command=f"{facts.cli} CONFIG SET tcp-keepalive 300",
        )
    yield from _buffers(facts)


def _buffers(facts: Facts) -> Iterator[Finding]:
    limits = buffer_limits(facts.config.get("client-output-buffer-limit", ""))
    hard, _, _ = limits.get("pubsub", (0, 0, 0))
    if conf.CAPTURE_CHANNELS and hard:
        what = f"a subscriber may be behind by {size(hard)}, then it is cut off"
        why = "A larger burst of foreign messages ends the listener's subscription; what comes meanwhile is lost."
        command = f'{facts.cli} CONFIG SET client-output-buffer-limit "pubsub 268435456 67108864 60"'
        level = warning if hard < 8 * MIB else note if hard <= 32 * MIB else None
        if level is None:
            yield ok("buffers", what)
        else:
            yield level("buffers", what, why=why, remedy="If bursts are large:", command=command)
    hard, _, _ = limits.get("normal", (0, 0, 0))
    if 0 < hard < 64 * MIB:
        yield warning(
            "buffers",
            f"a reply may have {size(hard)} at most",
            why="The relay reads many entries at once; above the limit the server cuts it off, again and again.",
            command=f'{facts.cli} CONFIG SET client-output-buffer-limit "normal 0 0 0"',
        )


def buffer_limits(text: str) -> dict[str, tuple[int, int, int]]:
    """``normal 0 0 0 slave ...`` -> class: (hard limit, soft limit, seconds), limits in bytes."""
    words = text.split()
    return {
        words[at]: (int(words[at + 1]), int(words[at + 2]), int(words[at + 3]))
        for at in range(0, len(words) - 3, 4)
    }
