"""Names -> Redis keys, each with its type. No other module spells a key.

The braces are hash tags: everything of one partition lives in one slot, so the scripts run on Redis Cluster.
"""

from __future__ import annotations

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


def heartbeat() -> str:
    """STRING with a time to live: what the listener in charge last said of itself, as JSON."""
    return f"{conf.NAMESPACE}:{{listener}}:heartbeat"


def ended_in_order() -> str:
    """STRING: the run id of a server that was told to end after everybody else had ended, so that it lost nothing."""
    return f"{conf.NAMESPACE}:{{server}}:ended"


def probe_channel(token: str) -> str:
    """Pub/Sub channel on which a listener hears its own probe."""
    return f"{conf.NAMESPACE}:probe:{token}"


def partition_of(channel: str) -> int:
    """The partition of a channel: always the same one, so that a channel keeps its order."""
    count = conf.PARTITIONS
    return 0 if count == 1 else crc32(channel.encode()) % count
