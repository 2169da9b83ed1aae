"""A world -> its Redis user loses rights for a moment: what an ACL that is too narrow does."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.chaos.world import World


def no_channel_rights(world: World) -> None:
    """PUBLISH and SUBSCRIBE are refused; what is published goes into the log all the same, and is stored."""
    with _without(world, "resetchannels", "allchannels"):
        world.published()
        world.stored_again()
    world.foreign_heard()


def no_stream_rights(world: World) -> None:
    """XADD and XREAD are refused, the lease is not."""
    with _without(world, "-@stream", "+@all"):
        world.pause(0.3, 0.6)


def no_key_rights(world: World) -> None:
    """Everything is refused, the lease as well, for longer than it lasts."""
    with _without(world, "resetkeys", "allkeys"):
        world.pause(1.6, 1.8)


@contextmanager
def _without(world: World, take: str, give: str) -> Iterator[None]:
    client = world.redis()
    client.execute_command("ACL", "SETUSER", "default", take)
    try:
        yield
    finally:
        world.redis().execute_command("ACL", "SETUSER", "default", give)
