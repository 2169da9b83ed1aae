"""How processes of ours are asked to end -> with which exit code they do."""

from __future__ import annotations

import signal

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # the first drains, the second ends at once

# `timeout` and some terminals send one Ctrl-C twice, to the process and to its group: that is one signal.
SAME_SIGNAL = 0.3  # seconds

DONE = 0  # drained, too
FAILED = 1
USAGE = 2
CANNOT_START = 3  # another try will not help: whoever supervises it need not make one
UNHEALTHY = 4  # of what was looked at
DRAIN_TIMED_OUT = 5
ENDED_AT_ONCE = 130  # by a second signal; as shells say of INT
