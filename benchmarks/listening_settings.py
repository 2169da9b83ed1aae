"""The site's settings -> the same with the listener as a background thread of the web process."""

from broker_site.settings import *  # noqa: F403
from broker_site.settings import MESSAGING

MESSAGING = MESSAGING | {"LISTEN_IN_WEB": True}
