"""The site's settings for the workers that are killed: as in production, with more crashes forgiven."""

from broker_site.settings import *  # noqa: F403

# Tasks that are caught by several of the kills have to end well all the same, those that kill have to end dead.
TASKS = {"default": {"BACKEND": "messaging.taskqueue.RedisTaskBackend", "OPTIONS": {"MAX_CRASHES": 4}}}
LOGGING["loggers"]["django"]["level"] = "CRITICAL"  # noqa: F405 - three lines for each of 20,000 tasks
