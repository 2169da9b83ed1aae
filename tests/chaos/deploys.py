"""A world -> a deploy in it, under load: processes end in good order, others take over."""

from tests.chaos.nursery import Child
from tests.chaos.world import World

RESTARTS = 20
COUNTS = (1, 2, 3, 5)


def restart_listener(world: World) -> None:
    """The new one is there before the old one is told to end."""
    old = list(world.listeners)
    world.start_listener()
    _end(old, world.listeners)


def restart_all(world: World) -> None:
    """The listener, then every writer, twenty times in a row."""
    for _ in range(RESTARTS):
        restart_listener(world)
        old = list(world.writers)
        for _ in old:
            world.start_writer()
        _end(old, world.writers)
        world.published()


def change_partitions(world: World) -> None:
    """A rolling deploy with another number of partitions: old and new processes publish and listen side by side."""
    listeners, writers = list(world.listeners), list(world.writers)
    now = world.messaging.get("PARTITIONS", 1)
    world.messaging["PARTITIONS"] = world.random.choice([each for each in COUNTS if each != now])
    for _ in writers:
        world.start_writer()
    world.published()
    world.pause(0.5, 1.5)  # the old listener is in charge
    world.start_listener()
    _end(listeners, world.listeners)
    world.published()  # the old writers as well
    _end(writers, world.writers)


def _end(these: list[Child], running: list[Child]) -> None:
    for each in these:
        status = each.terminate()
        assert status == 0, f"it ended with {status}: {each.words()}"
        running.remove(each)
