"""Work that must be done: jobs go into queues in Redis, workers take them out under a lease, and each one ends."""
