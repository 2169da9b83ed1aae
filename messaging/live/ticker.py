"""The clock -> heartbeats, ends of streams grown old, permissions asked again, clients that take nothing cut off.

One task for all streams of a process: a timer for each would cost more than the stream.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from messaging import connection
from messaging.conf import conf
from messaging.live import history, notices
from messaging.live.counters import counters

if TYPE_CHECKING:
    from messaging.live.access import Claim
    from messaging.live.hub import Hub
    from messaging.live.stream import Stream

logger = logging.getLogger("messaging.live")

TICK_SECONDS = 1.0
MOST_CHECKED = 50  # claims that are checked again in one tick; of many streams a tenth
RETENTION_SECONDS = 10.0
LOSSES_SECONDS = 5.0


async def tick_for_ever(hub: Hub) -> None:
    """Until cancelled. What asks Redis or the database runs beside it, so that heartbeats do not wait for them."""
    beside: list[asyncio.Task[None]] = []
    retention_due = losses_due = 0.0
    try:
        while True:
            now = time.monotonic()
            try:
                look_after(hub, now)
                look_at_source(hub)
                hub.trim_feeds()
                hub.gate.forget(now)
            except Exception:
                logger.exception("the ticker of the live streams goes on after an unexpected error")
            if all(task.done() for task in beside):
                beside = [asyncio.create_task(_check_permissions(hub, now))]
                if now >= losses_due and hub.streams:
                    losses_due = now + LOSSES_SECONDS
                    beside.append(hub.losses.learn())
                if now >= retention_due and (hub.streams or not retention_due):
                    retention_due = now + RETENTION_SECONDS
                    beside.append(asyncio.create_task(_learn_retention(hub)))
            await asyncio.sleep(min(TICK_SECONDS, conf.LIVE_HEARTBEAT_SECONDS / 4))
    finally:
        for task in beside:
            task.cancel()


def look_after(hub: Hub, now: float) -> None:
    """Heartbeats, deadlines and ages, each a comparison."""
    silent = now - conf.LIVE_HEARTBEAT_SECONDS
    stalled = now - conf.LIVE_SEND_SECONDS
    for stream in list(hub.streams):
        if stream.busy_since:
            if stream.busy_since < stalled:
                counters.dropped += 1
                logger.info("a stream is dropped: its client took nothing for %.0f s", conf.LIVE_SEND_SECONDS)
                stream.drop()
        elif stream.expires < now:
            stream.end("age")
        elif stream.wrote < silent:
            stream.beat()


def look_at_source(hub: Hub) -> None:
    """Tell the streams when Redis does not answer any more, and when it does again."""
    silence = hub.silence
    if hub.ready and bool(silence) != hub.is_silent:
        hub.is_silent = bool(silence)
        hub.tell(notices.source(silence))


async def _learn_retention(hub: Hub) -> None:
    """What ``hello`` says of the log; the old answer stays while Redis is away."""
    try:
        hub.retention = await hub.readers.run(lambda: history.retention(connection.client()))
    except Exception as error:  # Redis's
        logger.debug("retention is not known: %s", error)


async def _check_permissions(hub: Hub, now: float) -> None:
    """Ask again for the claims that were not asked for a while, some in each tick; end those that lost it."""
    due: dict[Claim, list[Stream]] = {}
    most = max(MOST_CHECKED, len(hub.streams) // 10)  # so that nobody waits for a minute
    long_ago = now - conf.LIVE_RECHECK_SECONDS
    for stream in hub.streams:
        claim = stream.claim
        if claim is not None and stream.checked <= long_ago and (claim in due or len(due) < most):
            due.setdefault(claim, []).append(stream)
    if not due:
        return
    withdrawn = await hub.gate.withdrawn(due)
    hub.forget_routes()
    for claim, streams in due.items():
        for stream in streams:
            stream.checked = now
            if claim in withdrawn:
                stream.end("permission")
