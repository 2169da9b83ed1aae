"""A Redis client -> what the logs in it hold, by plain commands: the product's own code is not asked."""

import re
from collections import Counter
from typing import Any

import redis

from tests.chaos.checker import Position
from tests.chaos.rows import Rows

LEASE = "messaging:{listener}:lease"
_ID = re.compile(r'"id":"(w[0-9]+-[0-9]+)"')


def log_of(partition: int) -> str:
    """The key of a partition's log."""
    return f"messaging:{{{partition}}}:log"


def epoch_of(partition: int) -> str:
    """The key of a partition's epoch."""
    return f"messaging:{{{partition}}}:epoch"


def last_of(client: redis.Redis, partition: int) -> Position:
    """The position of the newest entry that there ever was."""
    info: Any = client.xinfo_stream(log_of(partition))
    ms, _, seq = info["last-generated-id"].partition(b"-")
    return int(ms), int(seq)


def is_read(client: redis.Redis, rows: Rows, partition: int) -> bool:
    """Does the relay's cursor stand at the end of this partition?"""
    epoch, position = rows.cursor(partition)
    if not client.exists(log_of(partition)):
        return position == (0, 0) or not client.exists(epoch_of(partition))
    return (epoch.encode(), position) == (client.get(epoch_of(partition)) or b"", last_of(client, partition))


def most_copies(client: redis.Redis, partitions: int) -> int:
    """Of the message that stands most often in the logs."""
    counts: Counter[str] = Counter()
    for partition in range(partitions):
        counts.update(_ID.findall(str(client.execute_command("XRANGE", log_of(partition), "-", "+"))))
    return max(counts.values(), default=0)
