"""Everything that goes wrong, in some order -> what clients saw that they should not have, and what is left over."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from messaging.errors import BrokerError
from messaging.publisher import publish_many
from tests.conftest import reset_clients
from tests.sites import Database
from tests.stress.client import Client
from tests.stress.truth import Truth
from tests.stress.world import World
from tests.waiting import eventually

FILTERS: tuple[tuple[str, ...], ...] = (
    ("c*",),
    ("c0",),
    ("c0", "c1", "c2"),
    ("c[0-4]", "x*"),
    ("c0", "c9*"),
)
CHANNELS = [f"c{n}" for n in range(10)]
FAT = 800  # messages of 7 KB at once: what nobody reads has to be more than sockets take
Say = Callable[[str], None]


@dataclass
class Report:
    faults: list[str] = field(default_factory=list)
    clients: int = 0
    connects: int = 0
    messages: int = 0  # seen by all clients together
    gaps: int = 0
    published: int = 0
    events: list[str] = field(default_factory=list)
    slowest_stop: float = 0.0
    first: dict[str, Any] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)


class Run:
    def __init__(self, world: World, *, crowd: int, seed: int, say: Say) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.truth = Truth()
        self.report = Report()
        self.say = say
        session = world.database.session
        moods = ["steady", "storm"] * crowd
        self.clients = [
            Client(world.port, session, FILTERS[n % len(FILTERS)], mood=mood) for n, mood in enumerate(moods)
        ]
        self.clients += [Client(world.port, session, ("fat",), mood="slow") for _ in range(2)]
        self.sleepers = [Client(world.port, session, ("fat",), mood="sleeper") for _ in range(3)]
        self._publishing = asyncio.Lock()
        self._number = 0

    # -- what goes on all the time

    async def publish_for_ever(self) -> None:
        while True:
            async with self._publishing:
                await self._publish([self.random.choice(CHANNELS) for _ in range(5)])
            await asyncio.sleep(0.03)

    async def _publish(self, channels: list[str], *, size: int = 20) -> None:
        batch = []
        for channel in channels:
            batch.append((channel, {"n": self._number, "x": "x" * size}))
            self._number += 1
        try:
            await asyncio.to_thread(publish_many, batch)
        except BrokerError:  # the log knows what has come of it
            await asyncio.sleep(0.05)

    # -- what goes wrong

    async def restart_redis(self) -> None:
        await asyncio.to_thread(self.world.broker.restart)

    async def kill_redis(self) -> None:
        self.world.broker.kill()
        await asyncio.sleep(self.random.uniform(0, 1))
        await asyncio.to_thread(self.world.broker.start)

    async def wipe(self) -> None:
        async with self._publishing:
            await asyncio.to_thread(self._learn)
            self.truth.wipes += 1
            await asyncio.to_thread(self.world.broker.client().flushall)

    async def restart_web(self) -> None:
        took = await asyncio.to_thread(self.world.replace_web, kill=False)
        self.report.slowest_stop = max(self.report.slowest_stop, took)

    async def kill_web(self) -> None:
        await asyncio.to_thread(self.world.replace_web, kill=True)

    async def fat_burst(self) -> None:
        for _ in range(FAT // 100):
            async with self._publishing:
                await self._publish(["fat"] * 100, size=7000)

    def _learn(self) -> None:
        eventually(lambda: self.world.broker.client().ping())
        self.truth.learn(self.world.broker.client())

    # -- the whole

    async def go(self, steps: list[str], *, pause: float) -> None:
        loop = asyncio.get_running_loop()
        self.report.first = await asyncio.to_thread(self.world.ready)
        tasks = [asyncio.create_task(client.run()) for client in (*self.clients, *self.sleepers)]
        publishing = asyncio.create_task(self.publish_for_ever())
        await self._everybody_has_begun()
        for step in steps:
            began = loop.time()
            await getattr(self, step)()
            self.say(f"{step} ({loop.time() - began:.1f} s)")
            self.report.events.append(step)
            await asyncio.sleep(pause * self.random.uniform(0.5, 1.5))
        await self._sleepers_are_cut_off()
        self.say("clients that read nothing were cut off")
        publishing.cancel()
        async with self._publishing:
            await self._publish(["c0", "fat"])  # each filter has something to end with
        await asyncio.to_thread(self._learn)
        await self._everybody_is_there()
        self.say("everybody is there")
        for client in (*self.clients, *self.sleepers):
            client.stop()
        await asyncio.gather(*tasks)
        await self._nothing_is_left()
        self._judge()

    async def _everybody_has_begun(self) -> None:
        await self._until(lambda: all(client.seen for client in self.clients), "everybody has begun")

    async def _sleepers_are_cut_off(self) -> None:
        began, bursts = time.monotonic(), 0
        while (await asyncio.to_thread(self.world.ready))["dropped"] < 1:
            waited = time.monotonic() - began
            assert waited < 90, "clients that read nothing were not cut off"
            if waited >= bursts * 8:  # again: a sleeper may just have come back
                bursts += 1
                await self.fat_burst()
            await asyncio.sleep(0.1)

    async def _everybody_is_there(self) -> None:
        last = {
            client.patterns: self.truth.wanted(self.truth.current, client.patterns)[-1:]
            for client in self.clients
        }

        def there() -> bool:
            return all(
                client.seen[-1].place.epoch == self.truth.current
                and client.seen[-1].place[1:] >= last[client.patterns][0].position
                for client in self.clients
            )

        await self._until(there, "everybody is at the end", fail=False)

    async def _until(self, condition: Callable[[], bool], what: str, *, fail: bool = True) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            if time.monotonic() > deadline:
                if fail:
                    raise AssertionError(f"not within 60 s: {what}; {self.world.web.output[-2000:]}")
                self.report.faults.append(f"not within 60 s: {what}")
                return
            await asyncio.sleep(0.03)

    async def _nothing_is_left(self) -> None:
        first = self.report.first
        deadline = time.monotonic() + 30
        while True:
            last = self.report.last = await asyncio.to_thread(self.world.ready)
            left = {name: last[name] for name in ("streams", "seats", "feeds") if last[name]}
            if last["tasks"] > first["tasks"]:
                left["tasks"] = f"{last['tasks']} instead of {first['tasks']}"
            if last["files"] > first["files"] + 10:  # a few connections to Redis are kept
                left["files"] = f"{last['files']} instead of {first['files']}"
            if not left or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.05)
        self.report.faults += [f"left over: {name}: {value}" for name, value in left.items()]

    async def waves(self, count: int, crowd: int) -> None:
        """Memory: so many come and go, again and again, in the same process."""
        session = self.world.database.session
        used: list[int] = []
        for _ in range(count):
            wave = [Client(self.world.port, session, FILTERS[n % 5], mood="steady") for n in range(crowd)]
            tasks = [asyncio.create_task(client.run()) for client in wave]
            await self._until(lambda wave=wave: all(client.seen for client in wave), "a wave has begun")  # type: ignore[misc]
            for client in wave:
                client.stop()
            await asyncio.gather(*tasks)
            await self._nothing_is_left()
            used.append((await asyncio.to_thread(self.world.probe))["memory"])
        self.say(f"memory after each wave of {crowd}: {used} KiB")
        if (
            len(used) > 1 and used[-1] - used[0] > (len(used) - 1) * crowd * 2 + 1024
        ):  # 2 KiB a stream would be a leak
            self.report.faults.append(f"memory grows with each wave: {used} KiB")

    def _judge(self) -> None:
        report = self.report
        for client in self.clients:
            found = [*client.faults, *self.truth.faults(client.patterns, client.seen)]
            report.faults += [f"{client.mood} {client.patterns}: {fault}" for fault in found[:5]]
            report.messages += sum(each.what == "message" for each in client.seen)
            report.gaps += sum(each.what == "gap" for each in client.seen)
        report.clients = len(self.clients) + len(self.sleepers)
        report.connects = sum(client.connects for client in (*self.clients, *self.sleepers))
        report.published = sum(map(len, self.truth.logs.values()))


def stress(
    template: Database, steps: list[str], *, crowd: int, pause: float, waves: int, seed: int, say: Say
) -> Report:
    """Run the steps with ``2 * crowd`` clients and some more, who publish to a broker of their own."""
    with World(template) as world:
        before = settings.MESSAGING
        settings.MESSAGING = before | {"URL": world.broker.url}
        reset_clients()
        try:
            run = Run(world, crowd=crowd, seed=seed, say=say)
            random.seed(seed)

            async def whole() -> None:
                await run.go(steps, pause=pause)
                await run.waves(waves, crowd * 2)

            asyncio.run(whole())
        finally:
            settings.MESSAGING = before
            reset_clients()
    return run.report
