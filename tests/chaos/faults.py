"""A world -> one fault in it, healed again: by real signals to real processes, real commands to real servers.

Each is a function of the world; when it returns, nothing stands in the way any more.
"""

import signal
import threading
import time
from contextlib import suppress
from typing import Any

import redis

from tests.chaos.logs import epoch_of, log_of
from tests.chaos.world import World
from tests.waiting import eventually

LOADED_KEYS = 1000
SLOWLY = {"key-load-delay": "1000", "loading-process-events-interval-bytes": "1024"}  # 1 ms for each key


def _any_partition(world: World) -> int:
    return world.random.randrange(world.partitions)


# -- processes ----------------------------------------------------------------------------------------------------


def kill_listener(world: World) -> None:
    """kill -9 at a random moment; the next one starts at once, and waits for the dead one's lease."""
    world.kill_listener()
    world.start_listener()


def kill_one_of_two(world: World) -> None:
    """kill -9 of the one in charge; the standby takes over, and a new standby comes."""
    found = eventually(world.in_charge, message="a listener is in charge")
    found.kill()
    world.listeners.remove(found)
    world.start_listener()


def freeze_listener(world: World) -> None:
    """SIGSTOP past its lease, another takes over, SIGCONT."""
    if len(world.listeners) < 2:
        world.start_listener()
    found = eventually(world.in_charge, message="a listener is in charge")
    world.wait_for_mistake()
    found.freeze()
    world.release()
    while (
        world.rows.is_locked()
    ):  # SQLite alone: in a transaction it holds the whole file, and nobody can help
        found.signal(signal.SIGCONT)
        found.freeze()
    eventually(lambda: world.in_charge() not in (None, found), message="another takes over")
    world.stored_again()
    found.signal(signal.SIGCONT)
    world.pause(0.2, 0.5)


def kill_writer(world: World) -> None:
    """kill -9 at a random moment; another starts."""
    writer = world.random.choice(world.writers)
    writer.kill()
    world.writers.remove(writer)
    world.start_writer()


def kill_writer_after_commit(world: World) -> None:
    """A process that commits and is killed before it sends."""
    writer = world.start_writer(direct=0.0, die=world.random.randint(1, 5))
    assert writer.wait() == -signal.SIGKILL
    world.writers.remove(writer)


def listener_down(world: World) -> None:
    """For long, while the outbox fills."""
    world.kill_listener()
    world.published()
    world.pause(2.0, 2.5)
    world.start_listener()


# -- Redis --------------------------------------------------------------------------------------------------------


def kill_redis(world: World) -> None:
    """kill -9, a moment without, and a start on what its disk has."""
    world.broker.kill()
    world.pause(0.0, 0.5)
    world.broker.start()


def slow_to_load(world: World) -> None:
    """kill -9 of a server that has much to load: until it is done, it answers everybody with LOADING."""
    client = world.redis()
    client.execute_command("DEBUG", "POPULATE", str(LOADED_KEYS), "filler")
    client.bgrewriteaof()
    eventually(lambda: _is_rewritten(client), message="the file is rewritten")
    world.broker.kill()
    began = time.monotonic()
    with world.broker.told(**SLOWLY):
        world.broker.start()
    took = time.monotonic() - began
    world.figures["loading s"] = round(max(took, world.figures.get("loading s", 0.0)), 1)


def _is_rewritten(client: redis.Redis) -> bool:
    info: Any = client.info("persistence")
    running = info["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"]
    return not running and info["aof_last_bgrewrite_status"] == "ok"


def kill_redis_and_listener(world: World) -> None:
    """Both: the next listener has never seen the server that is gone. Redis has the state of a snapshot."""
    world.stored_again()
    world.kill_listener()
    client = world.redis()
    client.save()
    world.published()  # what the snapshot does not have
    world.broker.kill()
    world.broker.start()
    world.start_listener()


def freeze_redis(world: World) -> None:
    """SIGSTOP for longer than a publish may take."""
    world.broker.signal(signal.SIGSTOP)
    world.pause(0.7, 1.2)
    world.broker.signal(signal.SIGCONT)


def flushall(world: World) -> None:
    """Everything is gone, the lease as well."""
    world.redis().flushall()


def flushdb(world: World) -> None:
    """What a cache's clear() does in the wrong database."""
    world.redis().flushdb()


def flush_while_down(world: World) -> None:
    """The listener is dead while everything is deleted."""
    world.kill_listener()
    world.published()
    world.redis().flushall()
    world.published()
    world.start_listener()


def flush_behind_barrier(world: World) -> None:
    """The log goes while the sweeper waits for the relay to read it; nothing follows that would wake anybody."""
    found = eventually(world.in_charge, message="a listener is in charge")
    found.signal(signal.SIGSTOP)
    world.pause(0.6, 0.8)
    found.signal(signal.SIGCONT)
    world.redis().flushall()


def delete_log(world: World) -> None:
    """DEL of the stream alone."""
    world.redis().delete(log_of(_any_partition(world)))


def delete_epoch(world: World) -> None:
    """DEL of the epoch alone."""
    world.redis().delete(epoch_of(_any_partition(world)))


def trim_while_down(world: World) -> None:
    """XTRIM to nothing while the listener is dead."""
    world.kill_listener()
    world.published()
    world.redis().xtrim(log_of(_any_partition(world)), maxlen=0, approximate=False)
    world.pause(0.0, 0.2)
    world.start_listener()


def flush_scripts(world: World) -> None:
    """NOSCRIPT for everybody."""
    for _ in range(5):
        world.redis().script_flush()
        world.pause(0.0, 0.05)


def readonly(world: World) -> None:
    """A replica of nobody: READONLY."""
    client = world.redis()
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    world.pause(0.3, 0.6)
    client.execute_command("REPLICAOF", "NO", "ONE")


def misconf(world: World) -> None:
    """A snapshot that cannot be written: MISCONF."""
    client = world.redis()
    obstacle = world.broker.directory / "data" / "dump.rdb"
    obstacle.unlink(missing_ok=True)
    (obstacle / "in the way").mkdir(parents=True)
    client.config_set("save", "3600 1")
    client.bgsave()
    eventually(lambda: client.info()["rdb_last_bgsave_status"] == "err", message="the snapshot fails")
    world.pause(0.3, 0.6)
    (obstacle / "in the way").rmdir()
    obstacle.rmdir()
    eventually(
        lambda: not client.info()["rdb_bgsave_in_progress"],
        message="no snapshot is being written",
    )
    client.bgsave()
    eventually(lambda: client.info()["rdb_last_bgsave_status"] == "ok", message="the snapshot succeeds")
    client.config_set("save", "")


def busy(world: World) -> None:
    """A script of somebody else that does not end: BUSY."""
    client = world.redis()
    client.config_set("busy-reply-threshold", 50)
    endless = threading.Thread(target=_run_endless, args=(world.broker.client(socket_timeout=30),))
    endless.start()
    world.pause(0.5, 0.8)
    eventually(lambda: _is_ended(client), message="the script is ended")
    endless.join()


def _run_endless(client: redis.Redis) -> None:
    with suppress(redis.RedisError):
        client.eval("while true do end", 0)


def _is_ended(client: redis.Redis) -> bool:
    try:
        client.script_kill()
    except redis.ResponseError as error:
        return str(error).startswith("NOTBUSY") or "No scripts in execution" in str(error)
    return False


def out_of_memory(world: World) -> None:
    """OOM."""
    client = world.redis()
    client.config_set("maxmemory", "1mb")
    world.pause(0.3, 0.6)
    client.config_set("maxmemory", "0")


def client_pause(world: World) -> None:
    """Nobody is answered for longer than a publish may take."""
    world.redis().execute_command("CLIENT", "PAUSE", "800", world.random.choice(("ALL", "WRITE")))
    world.pause(0.8, 0.9)


def kill_pubsub(world: World) -> None:
    """The capture's subscription is cut; foreign messages are heard again."""
    client = world.redis()
    client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    world.foreign_heard()
    client.lpush("inbox", "from a list", b"\xff\x00")


def kill_connections(world: World) -> None:
    """Every client's connection is cut, wherever its command is."""
    for _ in range(3):
        world.redis().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        world.pause(0.0, 0.1)


def garbage(world: World) -> None:
    """Entries that nobody of us wrote, and some that break the rules."""
    client = world.redis()
    bad: list[dict[str, str | bytes]] = [
        {"x": "1"}, {"e": ""}, {"e": b"\xff\xfe"}, {"e": "[]"}, {"e": '{"specversion":"1.0"}'},
        {"e": "{" * 100_000}, {"e": '{"id":1}', "more": "2"},
    ]  # fmt: skip
    for fields in bad:
        client.execute_command(
            "XADD", log_of(_any_partition(world)), "*", *(part for pair in fields.items() for part in pair)
        )
    world.garbage += len(bad)
    for data in (
        b"\x00",
        b"\xed\xa0\x80",
        b"NaN",
        b"1e400",
        b"9" * 5000,
        b"[" * 100_000,
        b"",
        b"x" * 1_000_000,
    ):
        client.publish("f.bad", data)
        client.lpush("inbox", data)
