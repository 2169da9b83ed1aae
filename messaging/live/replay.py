"""What a stream asks for, or has missed -> chunks up to this moment, from which its feed goes on.

Both functions look at the hub's memory and join the feed without an ``await`` in between. What came before is then in
their hands, what comes later in the feed, and nothing can fall between.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from messaging import connection, frames
from messaging.conf import conf
from messaging.frames import format_id
from messaging.live import history, losses, notices
from messaging.live.counters import counters
from messaging.live.pages import Gap, Page
from messaging.live.ring import Item, in_order
from messaging.live.ring import newest as newest_of
from messaging.live.sight import seen
from messaging.live.threads import Resting

if TYPE_CHECKING:
    from messaging.live.stream import Stream

logger = logging.getLogger("messaging.live")

AGAIN_SECONDS = (0.2, 0.6)  # between two attempts to read what a client missed
REDIS_SECONDS = 3.0
LOOKED_AT = 10  # times LIVE_CATCH_UP, for a client that little of it is for


async def newest(stream: Stream, count: int) -> AsyncGenerator[bytes, None]:
    """The newest ``count`` messages. While Redis or the database is away, those that are in memory."""
    hub = stream.hub
    lost = await hub.losses.fresh() if count else []
    stream.join()
    upto, origin = stream.since, hub.ring.origin
    if stream.filter.rights is None:
        items = hub.ring.newest(stream.filter, count)
    else:
        items = await _allowed(stream, hub.ring.items() if count else [], count)
    items = seen(items, stream.filter.sight)
    if len(items) < count:
        older = partial(
            history.before, origin=origin, filter_=stream.filter.blocking(), count=count - len(items)
        )
        try:
            items = [*await hub.readers.run(lambda: older(connection.client(timeout=REDIS_SECONDS))), *items]
        except Resting:
            pass
        except Exception as error:  # Redis's or the database's
            logger.warning("streams begin with what is in memory, the log cannot be read: %s", error)
    if len(upto) > 1:
        items = in_order(items, upto)
    items = losses.among(items, lost, count=count, retained_ms=hub.retention["oldest"])
    for chunk in _counted(stream, items):
        yield chunk


async def missed(stream: Stream) -> AsyncGenerator[bytes, None]:
    """Everything behind ``stream.since``: from memory, else page by page from the log and the table; a gap where there
    is less than all. Waits while Redis or the database is away."""
    hub = stream.hub
    stream.detach()
    stream.replayed = pages = 0
    while not stream.done:
        items = hub.ring.after(stream.since)
        if items is not None and not _ahead(stream):
            if unsure := {item.channel for item in items if stream.filter.unsure(item.channel)}:
                await _learn(stream, unsure)
                continue
            among = {id(item.frame) for item in items}
            told = [item for item in stream.told if id(item.frame) not in among]  # so it was before them
            stream.join()
            wanted = [item for item in items if item.everyone or stream.filter.takes(item.channel)]
            for chunk in _counted(stream, [*told, *seen(wanted, stream.filter.sight)]):
                yield chunk
            return
        if (
            stream.replayed > conf.LIVE_CATCH_UP
            or pages * history.PAGE_ENTRIES > conf.LIVE_CATCH_UP * LOOKED_AT
        ):
            skipped = Gap(format_id(stream.since), hub.heads, "overrun")
            stream.since, stream.replayed, pages = hub.heads, 0, 0
            yield notices.gap(skipped)
            continue
        page = await _page(stream)
        if page is None or page.where == stream.since:  # away, or this process has not read so far itself
            if stream.beat_due:
                stream.beat_due = False
                yield frames.BEAT
            await stream.wait(notices.spread(*AGAIN_SECONDS))
            continue
        pages += 1
        stream.since = page.where
        if page.gap is not None:
            yield notices.gap(page.gap)
        for chunk in _counted(stream, page.items):
            yield chunk


async def _page(stream: Stream) -> Page | None:
    """The next page of what was missed; ``None`` if it cannot be read just now."""
    counters.catch_ups += 1
    read = partial(history.after, since=stream.since, filter_=stream.filter.blocking(), upto=stream.hub.heads)
    try:
        return await stream.hub.readers.run(lambda: read(connection.client(timeout=REDIS_SECONDS)))
    except Resting:
        return None
    except Exception as error:  # Redis's or the database's
        logger.warning("streams wait to catch up, the log cannot be read: %s", error)
        return None


async def _allowed(stream: Stream, items: list[Item], count: int) -> list[Item]:
    """The newest of these items that the stream's rights allow; none while nobody can be asked."""
    try:
        return await stream.hub.readers.run(
            lambda: newest_of(reversed(items), stream.filter.blocking(), count)
        )
    except Resting:
        return []
    except Exception as error:  # the database's, or whatever LIVE_MAY_HEAR raises
        logger.warning("a stream begins without history, LIVE_MAY_HEAR cannot be asked: %s", error)
        return []


async def _learn(stream: Stream, channels: set[str | None]) -> None:
    """Ask whether the stream's user may hear these channels; after a failure in a moment again."""
    rights = stream.filter.rights
    try:
        if rights is not None:
            await stream.hub.gate.ask(rights, (channel for channel in channels if channel is not None))
    except Exception as error:  # the database's, or whatever LIVE_MAY_HEAR raises
        logger.warning("streams wait, LIVE_MAY_HEAR cannot be asked: %s", error)
        await stream.wait(notices.spread(*AGAIN_SECONDS))


def _ahead(stream: Stream) -> bool:
    """Has the client read further than this process?"""
    return any(
        mine.epoch == head.epoch and mine > head
        for mine, head in zip(stream.since, stream.hub.heads, strict=True)
    )


def _counted(stream: Stream, items: Iterable[Item]) -> Iterator[bytes]:
    for chunk, count in notices.joined(items):
        stream.replayed += count
        counters.sent(len(chunk), count)
        yield chunk
