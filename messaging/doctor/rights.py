"""A Redis user -> whether it may do what publishing, reading and listening need.

``ACL DRYRUN`` tells without doing anything. Where the user may not ask that, each command is tried in a form that
changes nothing: with an argument that is refused later than the right to it, or with nothing to act upon.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import redis
from redis.exceptions import NoPermissionError, ResponseError

from messaging import connection, keys, log
from messaging.capture import escaped
from messaging.conf import conf
from messaging.doctor.facts import cli
from messaging.doctor.finding import Finding, ok, problem, warning
from messaging.models import Channel
from messaging.patterns import is_pattern

SAMPLE_CHANNELS = 20  # that were seen, and whose right to PUBLISH is asked for

Command = tuple[str, ...]


class Need(NamedTuple):
    """Commands that are needed for something, and what goes wrong without them."""

    topic: str
    commands: Sequence[Command]
    why: str
    severe: bool = True


def examine(client: redis.Redis) -> Iterator[Finding]:
    """Ask for every right; raises what redis-py raises when the server is away."""
    user = _user(client)
    dry = _may_dry_run(client, user)
    asked, denied = 0, False
    for need in [*_needs(dry=dry), *_subscriptions()]:
        asked += len(need.commands)
        answers = _dry_run(client, user, need.commands) if dry else _try(client, need.commands)
        refused = {command: why for command, why in zip(need.commands, answers, strict=True) if why}
        if refused:
            denied = True
            yield (problem if need.severe else warning)(
                need.topic,
                f"user {user!r} may not: {'; '.join(dict.fromkeys(refused.values()))}",
                why=need.why,
                remedy="Grant it, then ACL SAVE (or write it into the server's configuration):",
                command=f"{cli()} ACL SETUSER {user} {_grant(refused)}",
            )
    if not denied:
        how = "asked by ACL DRYRUN" if dry else "each tried without effect"
        yield ok("rights", f"user {user!r} may do all {asked} things that are needed ({how})")


def _user(client: redis.Redis) -> str:
    with suppress(ResponseError):
        return _text(client.execute_command("ACL", "WHOAMI"))
    return str(connection.pool(timeout=None).connection_kwargs.get("username") or "default")


def _may_dry_run(client: redis.Redis, user: str) -> bool:
    try:
        client.execute_command("ACL", "DRYRUN", user, "PING")
    except ResponseError:
        return False
    return True


def _text(reply: object) -> str:
    return reply.decode(errors="replace") if isinstance(reply, bytes) else str(reply)


# -- what is needed -----------------------------------------------------------------------------------------------


def _needs(*, dry: bool) -> Iterator[Need]:
    """By purpose. A form that is tried must have no effect; it is the same that the dry run asks about."""
    publishing: list[Command] = []
    reading: list[Command] = []
    listening: list[Command] = [("MGET", *(keys.epoch(each) for each in log.partitions()))]
    for partition in {log.partitions()[0], log.partitions()[-1]}:
        name, epoch = keys.log(partition), keys.epoch(partition)
        publishing += [
            ("EVALSHA", "0" * 40, "2", name, epoch),
            ("EVAL", "return 1", "2", name, epoch),
            ("XLEN", name),
            ("EXISTS", name),
            ("GET", epoch),
            ("SET", epoch, "", "PX", "0"),  # no time to live is 0
            ("XADD", name, "NOMKSTREAM", "0-0", "e", ""),  # no entry stands there
        ]
        reading += [
            ("XREAD", "COUNT", "1", "STREAMS", name, "$"),
            ("XRANGE", name, "-", "+", "COUNT", "1"),
            ("XREVRANGE", name, "+", "-", "COUNT", "1"),
            ("XINFO", "STREAM", name),
        ]
        listening += [("XTRIM", name, "MINID", "0-0")]
    probe = keys.probe_channel(secrets.token_hex(8))
    listening += [
        ("EVALSHA", "0" * 40, "2", keys.lease(), keys.heartbeat()),
        ("EVALSHA", "0" * 40, "3", keys.log(0), keys.epoch(0), keys.fence(0)),
        ("SET", keys.heartbeat(), "", "PX", "0"),
        ("GET", keys.heartbeat()),
        ("DEL", keys.heartbeat() if dry else f"{keys.heartbeat()}:nothing"),
        ("TIME",),
        ("PUBLISH", probe, ""),
    ]
    for item in conf.CAPTURE_LISTS:
        listening += [
            ("EVALSHA", "0" * 40, "4", item, keys.log(0), keys.epoch(0), keys.fence(0)),
            ("BLMOVE", item, item, "RIGHT", "RIGHT", "0.001"),
            ("LRANGE", item, "-1", "-1"),
            ("LINDEX", item, "-1"),
            ("RPOP", item, "0"),
        ]
    yield Need("publish", publishing, "publish() raises BrokerRefused, and the outbox waits in the table.")
    yield Need("read", reading, "Neither the listener nor the live page nor `tail` can read the log.")
    yield Need("listen", listening, "The listener cannot take charge, capture or trim.")
    yield Need("notice", [("INFO", "server")], "A restart of Redis is not noticed as a possible loss.", False)
    if dry:  # trying would be heard
        channels = _channels() or ["orders.created"]
        commands: list[Command] = [("PUBLISH", conf.CHANNEL_PREFIX + each, "") for each in channels]
        why = "Messages reach the log and the table, but no subscriber of plain Pub/Sub hears them."
        yield Need("Pub/Sub", commands, why, False)


def _subscriptions() -> Iterator[Need]:
    prefix, names = conf.CHANNEL_PREFIX, conf.CAPTURE_CHANNELS
    commands: list[Command] = [("SUBSCRIBE", keys.probe_channel("doctor"))]
    commands += [("SUBSCRIBE", prefix + each) for each in names if not is_pattern(each)]
    commands += [("PSUBSCRIBE", escaped(prefix) + each) for each in names if is_pattern(each)]
    if names:
        yield Need("capture", commands, "What others publish is not recorded.")


def _channels() -> list[str]:
    """Names that were seen."""
    with suppress(Exception):  # a database that is away or not migrated is another's finding
        return list(Channel.objects.using(conf.DATABASE).values_list("name", flat=True)[:SAMPLE_CHANNELS])
    return []


# -- asking -------------------------------------------------------------------------------------------------------


def _dry_run(client: redis.Redis, user: str, commands: Sequence[Command]) -> list[str]:
    """For each command "" or what the user may not."""
    pipe = client.pipeline(transaction=False)
    for command in commands:
        pipe.execute_command("ACL", "DRYRUN", user, *command)
    replies = pipe.execute(raise_on_error=False)
    return [denied(command, _text(reply)) for command, reply in zip(commands, replies, strict=True)]


def _try(client: redis.Redis, commands: Sequence[Command]) -> list[str]:
    return [_tried(client, command) for command in commands]


def _tried(client: redis.Redis, command: Command) -> str:
    pool = client.connection_pool
    conn = pool.get_connection()
    try:
        conn.send_command(*command)
        conn.read_response()
    except NoPermissionError as error:
        return denied(command, str(error))
    except ResponseError:
        pass  # refused for another reason: the right is there
    finally:
        if command[0] in ("SUBSCRIBE", "PSUBSCRIBE"):
            conn.disconnect()  # its subscription goes with it
        pool.release(conn)
    return ""


_NAMED = re.compile(r"(?:run|access) the '(.*)' (command|key|channel)")


def denied(command: Command, reply: str) -> str:
    """The server's answer -> ``command xadd``, ``key inbox``, ``channel a``, and "" when it allows it. Pure.

    Servers name the key or channel in a dry run only, otherwise they say "a key" or "one of the keys".
    """
    if "permission" not in reply:
        return ""
    if found := _NAMED.search(reply):
        return f"{found[2]} {found[1]}"
    if "channel" in reply:
        return f"channel {command[1]}"
    return f"a key of {command[0].lower()}"


def _grant(refused: dict[Command, str]) -> str:
    """What ACL SETUSER has to add."""
    words: dict[str, None] = {}
    for command, why in refused.items():
        if why.startswith("command "):
            words[f"+{why.removeprefix('command ')}"] = None
        elif why.startswith("channel "):
            ours = command[1].startswith(f"{conf.NAMESPACE}:")
            words[f"'&{conf.NAMESPACE}:*'" if ours else f"'&{command[1]}'"] = None
        else:
            lists = [each for each in conf.CAPTURE_LISTS if each in command]
            words[f"'~{conf.NAMESPACE}:*'"] = None
            words |= {f"'~{each}'": None for each in lists}
    return " ".join(words)
