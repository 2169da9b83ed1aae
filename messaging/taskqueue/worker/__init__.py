"""Queues -> tasks that run: a supervisor, its worker processes, in each of them threads and an event loop.

supervisor ─ keeper (leases, sweeps, heartbeats)
   │ starts, watches, replaces
   ▼
process ─ feeder (claims, acknowledges) ─▶ threads, coroutines ─▶ tasks
        └ watchdog (time limits, cancellations)
"""
