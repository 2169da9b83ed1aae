"""The site's settings -> the same with room for a crowd that is one user at one address."""

from broker_site.settings import *  # noqa: F403
from broker_site.settings import MESSAGING

MESSAGING = MESSAGING | {
    "LIVE_MAX_STREAMS": 20_000,
    "LIVE_MAX_STREAMS_PER_USER": 0,
    "LIVE_MAX_CONNECTS_PER_SECOND": 0,
}
