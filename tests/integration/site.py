"""The site's settings, with more for MESSAGING from the environment: for processes that a test starts."""

import json
import os

from broker_site.settings import *  # noqa: F403

MESSAGING = MESSAGING | json.loads(os.environ.get("MORE_MESSAGING", "{}"))  # noqa: F405
