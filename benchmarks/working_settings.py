"""The site's settings -> the same with the log lines of a busy production: not three for each task."""

from broker_site.settings import *  # noqa: F403
from broker_site.settings import LOGGING

LOGGING["loggers"]["django"]["level"] = "WARNING"
