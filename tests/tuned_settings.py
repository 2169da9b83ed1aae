"""The site's settings, with keys of MESSAGING from the environment -> for processes whose limits a test makes small."""

import json
import os

from broker_site.settings import *  # noqa: F403
from broker_site.settings import MESSAGING

MESSAGING |= json.loads(os.environ["TEST_MESSAGING"])
