"""The site's settings, of which the supervisor can load all and its processes cannot."""

import sys

from broker_site.settings import *  # noqa: F403

if "messaging.taskqueue.worker" in " ".join(sys.orig_argv):
    raise RuntimeError("this module is broken")
