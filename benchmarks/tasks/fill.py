"""Name of a peer, number of tasks, name of the task -> its queue is full; on stdout how long that took."""

from __future__ import annotations

import importlib
import sys

if __name__ == "__main__":
    peer, count, task = sys.argv[1:]
    print(importlib.import_module(f"benchmarks.tasks.with_{peer}").fill(int(count), task))
