"""The site's settings for worker processes that a test starts: all queues, short leases, more for MESSAGING."""

import json
import os

from broker_site.settings import *  # noqa: F403

TASKS = {
    "default": {
        "BACKEND": "messaging.taskqueue.RedisTaskBackend",
        "QUEUES": [],
        "OPTIONS": {"MAX_CRASHES": 1, "ENQUEUE_ON_COMMIT": False},
    }
}
MESSAGING = MESSAGING | json.loads(os.environ.get("MORE_MESSAGING", "{}"))  # noqa: F405
