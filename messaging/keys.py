"""Names -> Redis keys, each with its type. No other module spells a key.

The braces are hash tags: everything of one partition or queue lives in one slot, so the scripts run on Redis Cluster.
"""

from __future__ import annotations

from functools import lru_cache
from zlib import crc32

from messaging.conf import conf


def log(partition: int) -> str:
    """STREAM: the log of a partition; one field ``e``, a CloudEvents JSON event."""
    return f"{conf.NAMESPACE}:{{{partition}}}:log"


def epoch(partition: int) -> str:
    """STRING: 16 hexadecimal digits, drawn anew whenever the stream is born."""
    return f"{conf.NAMESPACE}:{{{partition}}}:epoch"


def lease() -> str:
    """STRING with a time to live: the listener in charge, as ``host:pid:random``."""
    return f"{conf.NAMESPACE}:{{listener}}:lease"


def tokens() -> str:
    """STRING: the highest token that went with the lease; each new holder gets a higher one."""
    return f"{conf.NAMESPACE}:{{listener}}:tokens"


def fence(partition: int) -> str:
    """STRING: the token of the listener that may capture into this partition; one with a lower token is refused."""
    return f"{conf.NAMESPACE}:{{{partition}}}:fence"


def heartbeat() -> str:
    """STRING with a time to live: what the listener in charge last said of itself, as JSON."""
    return f"{conf.NAMESPACE}:{{listener}}:heartbeat"


def ended_in_order() -> str:
    """STRING: the run id of a server that was told to end after everybody else had ended, so that it lost nothing."""
    return f"{conf.NAMESPACE}:{{server}}:ended"


def ticks() -> str:
    """HASH: the latest tick of each schedule, in milliseconds."""
    return f"{conf.NAMESPACE}:{{schedule}}:ticks"


def paused_schedules() -> str:
    """HASH: by the name of a schedule who paused it, when and why, as JSON."""
    return f"{conf.NAMESPACE}:{{schedule}}:paused"


def taken(name: str) -> str:
    """HASH job id -> item: what was taken from a foreign list and is not in its queue yet. In the list's own slot."""
    tag = name if _has_tag(name) else f"{{{name}}}"
    return f"{tag}:{conf.NAMESPACE}:taken"


def _has_tag(name: str) -> bool:
    opening = name.find("{")
    return opening >= 0 and name.find("}", opening + 1) > opening + 1


def probe_channel(token: str) -> str:
    """Pub/Sub channel on which a listener hears its own probe."""
    return f"{conf.NAMESPACE}:probe:{token}"


def partition_of(channel: str) -> int:
    """The partition of a channel: always the same one, so that a channel keeps its order."""
    count = conf.PARTITIONS
    return 0 if count == 1 else crc32(channel.encode()) % count


# What a queue consists of, in the order in which its scripts take them. Of a million jobs there are no more keys than
# of one, so that each script can declare all that it touches.
QUEUE = (
    ("jobs", "HASH id -> the job without its payload, as MessagePack"),
    ("bodies", "HASH id -> what was enqueued"),
    ("results", "HASH id -> what it returned"),
    ("errors", "HASH id -> the newest errors, as MessagePack"),
    ("ready", "ZSET id by priority and sequence: may be claimed"),
    ("due", "ZSET sequence:id by time"),
    ("leases", "ZSET id by the end of its lease: running"),
    ("ordered", "ZSET order key NUL sequence NUL id: behind another one of their order key"),
    ("heads", "HASH order key -> id of the one in front"),
    ("limited", "ZSET limit key (or NUL rate key) NUL rank NUL id: no room when it was their turn"),
    ("held", "HASH limit key -> how many run"),
    ("unique", "HASH digest -> enqueued_ms:id"),
    ("locks", "ZSET digest by time: unique locks that end by the clock"),
    ("expiring", "ZSET id by time: to be begun by then"),
    ("dead", "ZSET id by the time of death"),
    ("succeeded", "ZSET id by the time it is dropped"),
    ("cancelled", "ZSET, the same"),
    ("expired", "ZSET, the same"),
    ("ctl", "HASH: sequence, pause, sizes, what was dropped, cursor and times of the sweeper, confirmations"),
    ("marker", "ZSET: what waiting workers block on"),
    ("stats", "HASH minute:name -> count, and hour:h:name"),
    ("groups", "HASH task NUL error class -> dead letters"),
    ("workers", "HASH worker -> what it says of itself"),
    ("beats", "ZSET worker by its latest beat"),
    ("sweeper", "STRING with a time to live: somebody's turn to sweep"),
    ("rates", "ZSET rate key by the time from which its next one is no sooner than its rate has it"),
    ("turns", "ZSET rate key by the time at which the best of those who wait for it has its turn"),
)


def queues(alias: str) -> str:
    """SET: names of the queues of a backend alias that were ever used."""
    return f"{conf.NAMESPACE}:{alias}:queues"


def alerts() -> str:
    """HASH: what an alert is about -> the step of it that was told last."""
    return f"{conf.NAMESPACE}:alerts"


def asked(alias: str, worker: str) -> str:
    """STRING with a time to live: what an operator wants of a worker (JSON)."""
    return f"{conf.NAMESPACE}:{alias}:asked:{worker}"


def queue(alias: str, name: str) -> tuple[str, ...]:
    """All keys of one queue, in the order of ``QUEUE``."""
    return _queue(conf.NAMESPACE, alias, name)


def parts(alias: str, name: str) -> dict[str, str]:
    """The same by their names in ``QUEUE``."""
    return dict(zip((part for part, _ in QUEUE), queue(alias, name), strict=True))


@lru_cache(maxsize=256)
def _queue(namespace: str, alias: str, name: str) -> tuple[str, ...]:
    return tuple(f"{{{namespace}:{alias}:{name}}}:{part}" for part, _ in QUEUE)
