"""A world with a proxy -> a fault of the network in it, healed again."""

import time

from tests.chaos.world import World
from tests.waiting import eventually

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
    eventually(
        lambda: world.proxy and world.proxy.struck > struck + 2, timeout=30, message="replies are dropped"
    )
    world.proxy.fault = ""


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


def stalled_connection_of_all(world: World) -> None:
    """Nothing passes for longer than a lease, and nothing is closed."""
    assert world.proxy
    world.proxy.fault = "stall"
    world.pause(2.0, 3.0)
    world.proxy.fault = ""
    eventually(world.in_charge, timeout=30, message="a listener is in charge")
