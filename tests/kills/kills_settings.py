"""The site's settings for the workers that are killed: as in production, with more crashes forgiven."""

import os

from broker_site.settings import *  # noqa: F403
from tests.kills.ledger import FORGIVEN, VARIANT

if os.environ.get(VARIANT):
    INSTALLED_APPS += ["tests.kills.apps.Variant"]  # noqa: F405

TASKS = {
    "default": {
        "BACKEND": "messaging.taskqueue.RedisTaskBackend",
        "OPTIONS": {"MAX_CRASHES": FORGIVEN, "ENQUEUE_ON_COMMIT": False},
    }
}
LOGGING["loggers"]["django"]["level"] = "CRITICAL"  # noqa: F405 - three lines for each of 20,000 tasks
