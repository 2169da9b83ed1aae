"""A world with a proxy -> a fault of the network in it, healed again."""

import time

from tests.chaos.world import World
from tests.waiting import eventually

REFUSALS = (  # as Redis 7 and Valkey 9 word them
    "LOADING Redis is loading the dataset in memory",
    "READONLY You can't write against a read only replica.",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "NOREPLICAS Not enough good replicas to write.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "NOPERM this user has no permissions to run this command",
    "CLUSTERDOWN The cluster is down",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "MOVED 3999 127.0.0.1:6381",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
    "ERR max number of clients reached",
    "ERR something that no version has said yet",
)

NOTICED_SECONDS = 15.0  # after which a silent subscription has to be a new one


def network(world: World) -> None:
    """One of the proxy's faults, at random, for a moment."""
    assert world.proxy
    world.proxy.cut_after = world.random.choice((0, 1, 40, 130, 400))
    world.proxy.fault = world.random.choice(("stall", "delay", "cut", "reply", "half"))
    world.pause(0.3, 0.9)
    world.proxy.fault = ""
    if world.random.random() < 0.3:
        world.proxy.reset_all()


def cut_before_reply(world: World) -> None:
    """The script has run; its reply never comes."""
    assert world.proxy
    struck = world.proxy.struck
    world.proxy.fault = "reply"
    eventually(lambda: world.proxy and world.proxy.struck > struck + 2, message="replies are dropped")
    world.proxy.fault = ""


def refuse(world: World) -> None:
    """Everything is refused for a moment, with another of the replies each time."""
    assert world.proxy
    world.proxy.refusal = world.turn(REFUSALS)
    world.proxy.fault = "refuse"
    world.pause(0.3, 0.6)
    world.proxy.fault = ""


def no_room(world: World) -> None:
    """Everybody is cut off, and whoever connects anew is one client too many."""
    client = world.redis()
    most = client.config_get("maxclients")["maxclients"]
    client.config_set("maxclients", 1)
    for kind in ("normal", "pubsub"):
        client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
    world.pause(0.3, 0.6)
    client.config_set("maxclients", most)


def silent_subscription(world: World) -> None:
    """The subscription's connection stays open and nothing comes by it any more, as behind a router that forgot it."""
    assert world.proxy
    world.foreign_heard()
    said = world.words().count("has been silent")
    world.proxy.silence()
    began = time.monotonic()
    world.foreign_heard()
    took = time.monotonic() - began
    world.figures["silent for at most s"] = round(
        max(world.figures.get("silent for at most s", 0.0), took), 1
    )
    if took > NOTICED_SECONDS:
        world.broken.append(f"I7 a silent subscription was replaced after {took:.1f} s")
    if world.words().count("has been silent") == said:
        world.broken.append("I9 nobody said that the subscription was silent")
